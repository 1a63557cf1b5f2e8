"""For those who extend the library, or write assertions of their own: tests of tests.

An assertion is tested in its passing and in its failing case. `run_inner` runs an inner test, wherever the outer one is
running; `check_planted_bug` says whether an assertion finds the bug it is there for, and is quiet without it.
"""

# ruff: noqa: N802 - the names are those of the base class
from __future__ import annotations

import asyncio
import threading
import unittest
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester.case import IsolatedTestCase
from supertester.context import current_context
from supertester.errors import UsageError
from supertester.isolation.identity import adopt, owner

__all__ = ["Event", "RecordingResult", "check_planted_bug", "failure_of", "inner_case", "run_inner"]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@dataclass(frozen=True)
class Event:
    """One thing that was reported to a `RecordingResult`.

    ``kind`` is one of ``start stop success failure error skip expected_failure unexpected_success subtest``; ``test``
    is the id of the test (or of what failed outside of one); ``detail`` is the traceback or reason, as text.
    """

    kind: str
    test: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.test}" + (f": {self.detail.strip().splitlines()[-1]}" if self.detail.strip() else "")


class RecordingResult(unittest.TestResult):
    """A test result that also keeps, as ``events``, all that was reported to it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, in order."""
        return [event.kind for event in self.events]

    @property
    def report(self) -> str:
        """All that failed, as the text that a user would read; empty if nothing did."""
        return "\n".join(text for _, text in [*self.failures, *self.errors])

    def _record(self, kind: str, test: Any, detail: str = "") -> None:
        self.events.append(Event(kind, test.id(), detail))

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._record("start", test)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._record("stop", test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._record("success", test)

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addFailure(test, err)
        self._record("failure", test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addError(test, err)
        self._record("error", test, self.errors[-1][1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._record("skip", test, reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addExpectedFailure(test, err)
        self._record("expected_failure", test, self.expectedFailures[-1][1])

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._record("unexpected_success", test)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None) -> None:
        super().addSubTest(test, subtest, err)
        found = [text for each, text in [*self.failures, *self.errors] if each is subtest]
        self._record("subtest", subtest, found[-1] if found else "")


def run_inner(
    test: unittest.TestCase | unittest.TestSuite | type[unittest.TestCase],
    *,
    result: RecordingResult | None = None,
) -> RecordingResult:
    """Run an inner test and return all that was reported.

    Safe anywhere: where an event loop or another isolated test is running, the inner test runs in a thread of its own,
    for which the caller waits. It shares no context with the caller.

    Args:
        test: A test, a suite, or a class, all of whose tests run, with its class fixtures.
        result: Where to report, instead of to a new `RecordingResult`.

    Raises:
        BaseException: What ends a run of tests, such as ``KeyboardInterrupt``.
        TypeError: *test* is nothing that can be run.

    >>> class Inner(unittest.TestCase):
    ...     def test(self):
    ...         self.assertEqual(1, 2)
    >>> run_inner(Inner("test")).kinds
    ['start', 'failure', 'stop']
    """
    if isinstance(test, type) and issubclass(test, unittest.TestCase):
        # Not by the loader that all share: the options of a run, such as `-k`, leave out tests there.
        test = unittest.TestLoader().loadTestsFromTestCase(test)
    if not isinstance(test, (unittest.TestCase, unittest.TestSuite)):
        raise TypeError(f"run_inner() takes a test case, a suite or a test class, got {test!r}")
    found = RecordingResult() if result is None else result
    if _is_free():
        Context().run(test.run, found)
        return found
    raised: list[BaseException] = []
    outer = owner()

    def run() -> None:
        try:
            # Also where threads do not inherit it, after `uninstall`: the gate has to know who waits for whom.
            with nullcontext() if outer is None else adopt(outer):
                test.run(found)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=run, name="supertester-inner")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found


def _is_free() -> bool:
    """Say whether the present thread runs no event loop and no isolated test that an inner test could disturb."""
    if current_context.get() is not None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def inner_case(body: Callable[[Any], Any], *bases: type, **options: Any) -> unittest.TestCase:
    """Return a test whose method is *body*, which gets the test case; plain or async.

    Args:
        body: The test method.
        bases: Mixins, to be followed by `IsolatedTestCase`; or a whole base class.
        options: Class keywords.

    >>> run_inner(inner_case(lambda case: case.assertTrue([]))).kinds
    ['start', 'failure', 'stop']
    """
    if not callable(body):
        raise TypeError(f"the body of an inner test must be callable with the test case, got {body!r}")
    if not any(issubclass(base, unittest.TestCase) for base in bases):
        bases = (*bases, IsolatedTestCase)
    name = getattr(body, "__name__", "test")
    members = {"test": body, "__module__": body.__module__, "__qualname__": f"Inner({name})"}
    cls: Any = type("Inner", bases, members, **options)
    case: unittest.TestCase = cls("test")
    return case


def failure_of(body: Callable[[Any], Any], *bases: type, **options: Any) -> str:
    """Run *body* as an inner test that has to fail, and return its report.

    Raises:
        UsageError: It did not fail.
    """
    result = run_inner(inner_case(body, *bases, **options))
    if result.wasSuccessful():
        raise UsageError(f"the inner test {describe(body)} was to fail, and did not: {', '.join(result.kinds)}")
    return result.report


def check_planted_bug(
    sound: Callable[[Any], Any],
    buggy: Callable[[Any], Any],
    *bases: type,
    expected: str,
    **options: Any,
) -> Mismatch | None:
    """Say what is wrong with an assertion that has to tell *buggy* from *sound*, or return ``None``.

    Args:
        sound: A test body that uses the assertion where all is well.
        buggy: The same over a subject with a bug planted in it.
        bases: Mixins that have the assertion.
        expected: What the failure has to say, among other things.
        options: Class keywords.
    """
    quiet = run_inner(inner_case(sound, *bases, **options))
    if not quiet.wasSuccessful():
        return Mismatch(f"{describe(sound)} fails although no bug is planted:\n{quiet.report}", quiet.events)
    found = run_inner(inner_case(buggy, *bases, **options))
    if found.wasSuccessful():
        return Mismatch(f"{describe(buggy)} passes although a bug is planted", found.events)
    if expected not in found.report:
        return Mismatch(f"the failure of {describe(buggy)} does not say {expected!r}:\n{found.report}", found.events)
    return None
