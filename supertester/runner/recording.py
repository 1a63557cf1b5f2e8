"""`Recorder`: a ``unittest`` result that turns the events of each test into one `TestOutcome`."""

# ruff: noqa: N802 - the names are those of the base class
from __future__ import annotations

import sys
import time
import traceback
import unittest
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from supertester.runner.companions import Companion
from supertester.runner.copies import Original, end_copy
from supertester.runner.declared import DeclaredTest, id_of
from supertester.runner.outcomes import OutcomeName, Problem, Subtest, TestOutcome

__all__ = ["Recorder"]

__unittest = True

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class _Open:
    """A test that has begun."""

    __slots__ = ("at", "clock", "declared", "outcome", "problems", "reason", "subtests", "subtests_run", "test_id")

    def __init__(self, declared: DeclaredTest | None, test_id: str) -> None:
        self.declared = declared
        self.test_id = test_id
        self.at = time.time()
        self.clock = time.perf_counter()
        self.outcome: OutcomeName = "passed"
        self.reason = ""
        self.problems: list[Problem] = []
        self.subtests: list[Subtest] = []
        self.subtests_run = 0


class Recorder(unittest.TestResult):
    """Tells *begin* of each test that begins and *end* of each that ended, and keeps nothing.

    Args:
        declared: Finds what was declared of a test.
        begin: Called with a declared test and the time, in seconds since the epoch.
        end: Called with the outcome of a test, or of a class or module fixture that failed.
        tb_locals: Whether tracebacks show local variables.
        keep_exceptions: Whether outcomes hold what was raised.
        companions: Who goes along with each test.
    """

    def __init__(
        self,
        declared: Callable[[Any], DeclaredTest | None],
        *,
        begin: Callable[[DeclaredTest | None, str, float], None],
        end: Callable[[TestOutcome], None],
        tb_locals: bool = False,
        keep_exceptions: bool = False,
        companions: Sequence[Companion] = (),
    ) -> None:
        super().__init__()
        self.tb_locals = tb_locals
        self._declared = declared
        self._begin = begin
        self._end = end
        self._keep_exceptions = keep_exceptions
        self._companions = companions
        self._open: _Open | None = None
        self._original = Original()
        self.fixture_skip: str | None = None
        """Why the class or module fixture that ran last skipped its tests."""
        self.fixture_failure: str | None = None
        """The id of the class or module fixture that ran last, if it failed."""

    # The life of a test ------------------------------------------------------------------------------------------

    def startTest(self, test: Any) -> None:
        self.testsRun += 1
        if self._open is None:  # A test that runs itself again, after it failed, is still one test.
            self._begin_test(test)

    def _begin_test(self, test: Any) -> _Open:
        declared = self._declared(test)
        test_id = declared.test_id if declared is not None else id_of(test)
        self._open = _Open(declared, test_id)
        self._begin(declared, test_id, self._open.at)
        if declared is not None:
            for each in self._companions:
                each.begin(declared)
        return self._open

    def stopTest(self, test: Any) -> None:
        """Do nothing: a test may still report something, until `conclude`."""

    def conclude(self, change: Callable[[TestOutcome], TestOutcome] | None = None) -> bool:
        """Tell the outcome of the test that ran, after *change*, and say whether there was one."""
        current, self._open = self._open, None
        if current is None:
            return False
        outcome = self._outcome_of(current)
        for each in self._companions:
            outcome = each.end(outcome)
        self._end(outcome if change is None else change(outcome))
        return True

    def end_copy(self, *problems: Problem) -> None:
        """End this process if a test or fixture has forked it, and say what that raised here, *problems* included."""
        if self._original.is_here:
            return
        found = [*(self._open.problems if self._open is not None else ()), *problems]
        error = sys.exception()
        if not found and error is not None:
            end_copy(traceback.format_exception(error))
        end_copy(each.details for each in found)

    def _outcome_of(self, current: _Open) -> TestOutcome:
        return TestOutcome(
            test_id=current.test_id,
            outcome=current.outcome,
            declared=current.declared,
            started=current.at,
            duration=time.perf_counter() - current.clock,
            attempt=current.declared.attempt if current.declared is not None else 1,
            problems=tuple(current.problems),
            reason=current.reason,
            subtests=tuple(current.subtests),
            subtests_run=current.subtests_run,
        )

    # What became of it -------------------------------------------------------------------------------------------

    def addSuccess(self, test: Any) -> None:
        """Do nothing: a test that says nothing else has passed."""

    def addError(self, test: Any, err: Any) -> None:
        self._add_problem(test, err, "error")

    def addFailure(self, test: Any, err: Any) -> None:
        self._add_problem(test, err, "failure")

    def addSkip(self, test: Any, reason: str) -> None:
        current = self._open
        if current is None and hasattr(test, "_testMethodName"):
            current = self._begin_test(test)  # Python 3.12.1 does not start tests that it skips.
        if current is None:
            self.fixture_skip = reason
        elif hasattr(test, "test_case"):
            current.subtests.append(Subtest(description=_subtest(test), outcome="skipped", reason=reason))
            if current.outcome == "passed":
                current.outcome, current.reason = "skipped", reason
        elif current.outcome == "passed":
            current.outcome, current.reason = _outcome_of(sys.exception()) or "skipped", reason

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        if self._open is not None:
            self._open.outcome = "expected_failure"
            self._open.reason = _one_line(err[1])

    def addUnexpectedSuccess(self, test: Any) -> None:
        if self._open is not None:
            self._open.outcome = "unexpected_success"
            self._open.reason = "it was expected to fail, and passed"
        if self.failfast:
            self.stop()

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if self._open is not None:
            self._open.subtests_run += 1
        if err is None:
            return
        kind = "failure" if issubclass(err[0], test.failureException) else "error"
        description = _subtest(subtest)
        if self._open is not None:
            self._open.subtests.append(
                Subtest(
                    description=description,
                    outcome="failed" if kind == "failure" else "error",
                    reason=_one_line(err[1]),
                )
            )
        self._add_problem(test, err, kind, subtest=description)

    def addDuration(self, test: Any, elapsed: float) -> None:
        """Do nothing: each outcome has its duration."""

    def _add_problem(self, test: Any, err: ErrorInfo, kind: Any, *, subtest: str | None = None) -> None:
        if self.failfast:
            self.stop()
        problem = Problem(
            kind=kind,
            message=_one_line(err[1]),
            details=self._text_of(err, test),
            subtest=subtest,
            exception=err[1] if self._keep_exceptions else None,
        )
        current = self._open
        if current is None:
            self._end_fixture(test, problem)
            return
        current.problems.append(problem)
        named = _outcome_of(err[1])
        if named is not None and current.outcome == "passed":
            current.outcome, current.reason = named, problem.message
        elif named is None and (kind == "error" or current.outcome != "error"):
            current.outcome = "error" if kind == "error" else "failed"

    def _end_fixture(self, test: Any, problem: Problem) -> None:
        self.end_copy(problem)
        self.fixture_failure = id_of(test)
        self._end(
            TestOutcome(test_id=id_of(test), outcome="error", started=time.time(), problems=(problem,)),
        )

    def _text_of(self, err: ErrorInfo, test: Any) -> str:
        exc_info_to_string: Any = getattr(super(), "_exc_info_to_string")  # noqa: B009 - it is not documented
        if not hasattr(test, "failureException"):
            return "".join(traceback.format_exception(*err))
        return str(exc_info_to_string(err, test))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} run={self.testsRun}>"


def _outcome_of(error: BaseException | None) -> OutcomeName | None:
    """Return the outcome that *error* stands for, if it says one that is neither a failure nor an error."""
    named: OutcomeName | None = getattr(error, "supertester_outcome", None)
    return named


def _subtest(subtest: Any) -> str:
    describe = getattr(subtest, "_subDescription", None)
    return str(describe()) if callable(describe) else str(subtest)


def _one_line(error: BaseException) -> str:
    """Return what is raised as the last line of a traceback shows it, without its notes."""
    return "".join(traceback.format_exception_only(type(error), error)).partition("\n")[0]
