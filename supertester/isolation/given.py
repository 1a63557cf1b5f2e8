"""``@given`` on the tests of `IsolatedTestCase`: every example that Hypothesis makes is an isolated test of its own.

Hypothesis calls the test once per example and knows nothing of what belongs around it. So the function that it calls is
replaced, by the hook that it has for this purpose, with one that runs a whole test: the fixtures, the body, the cleanup
and the checks, on a copy of the test case. What fails there is what Hypothesis shrinks, be it a leaked task.

Nothing here imports Hypothesis: who has a test with ``@given`` has imported it.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from supertester._core.forking import free_in_children
from supertester.isolation.environment.handle import between_tests
from supertester.isolation.loops import TestTimeout

__all__ = ["EXPLORED", "Examples", "is_given", "run_parts"]

EXPLORED = "_supertester_explored"
"""The attribute of tests with ``@explore``; here because few tests need what comes with it."""

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows,
__hypothesistracebackhide__ = True  # and so does Hypothesis.


def is_given(method: Any) -> bool:
    """Say whether *method* is a test of Hypothesis."""
    return getattr(method, "is_hypothesis_test", False) is True


class Examples:
    """All the examples of one test.

    Args:
        timeout: Seconds that they may take together; ``None`` for no limit.
        own_environment: Whether each has one.
    """

    def __init__(self, timeout: float | None, *, own_environment: bool) -> None:
        self._timeout = timeout
        self._own_environment = own_environment
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._count = 0
        self._failure: Exception | None = None

    def run(self, method: Any, call: Callable[..., object]) -> None:
        """Run *method*, a test of Hypothesis, by ``call(method)``.

        Raises:
            TestTimeout: The examples ran over the timeout, and none had failed so far.
        """
        _let_run_whole_tests(method)
        try:
            with between_tests() if self._own_environment else nullcontext():
                call(method)
        except _OutOfTime:
            assert self._failure is not None
            raise self._failure from None
        finally:
            self._failure = None

    def run_one(self, case: Any, body: Callable[[Any], functools.partial[Any]]) -> None:
        """Run one example: *body*, given a copy of *case*, returns what to call."""
        self._count += 1
        example = copy.copy(case)
        test = body(example)
        example._begin_example(test, self._left(test))
        try:
            run_parts(example, test)
        except TestTimeout as timeout:
            self._give_up(timeout, test)
        except Exception as error:
            if not isinstance(error, sys.modules["hypothesis.errors"].UnsatisfiedAssumption):
                self._failure = error
            raise
        finally:
            case.isolation = example.isolation

    def _left(self, test: functools.partial[Any]) -> float | None:
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._give_up(TestTimeout(f"the test ran longer than its timeout of {self._timeout:g} s"), test)
        return left

    def _give_up(self, timeout: TestTimeout, test: functools.partial[Any]) -> None:
        """Let Hypothesis end; with an error it would go on to shrink, for which no time is left."""
        if self._failure is None:
            self._failure = timeout
            self._failure.add_note(f"in example {self._count}: {_shown(test)}")
        else:
            self._failure.add_note(f"{timeout.args[0]}: this example need not be the smallest that fails")
        raise _OutOfTime from None


class _OutOfTime(BaseException):
    """Nothing that Hypothesis would take for a failure of the test."""


def _shown(test: functools.partial[Any]) -> str:
    named = [f"{name}={value!r}" for name, value in test.keywords.items()]
    return f"{test.func.__name__}({', '.join([*map(repr, test.args), *named])})"


# Running one ---------------------------------------------------------------------------------------------------------


def run_parts(case: Any, test: Callable[[], Any]) -> None:
    """Run the parts of a test as ``unittest`` does; raise the first error, which has notes of the others."""
    errors: list[BaseException] = []
    try:
        with _collected(errors):
            case._callSetUp()
        if not errors:
            with _collected(errors):
                case._callTestMethod(test)
            with _collected(errors):
                case._callTearDown()
        case._has_failed = bool(errors)
        while case._cleanups:
            function, args, kwargs = case._cleanups.pop()
            with _collected(errors):
                case._callCleanup(function, *args, **kwargs)
    finally:
        with _collected(errors):
            case._tearDownAsyncioRunner()
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"and then: {other}")
        raise errors[0]


@contextmanager
def _collected(errors: list[BaseException]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - raised when all parts have run
        errors.append(error)


# The hook ------------------------------------------------------------------------------------------------------------

_MARK = "_supertester_whole"
_lock = free_in_children(threading.Lock())


def _let_run_whole_tests(method: Any) -> None:
    """Let *method* run a whole test for each example, from now on; it is shared by all instances and subclasses."""
    with _lock:
        handle = method.hypothesis
        if not hasattr(handle.inner_test, _MARK):
            handle.inner_test = _whole_test(handle.inner_test)
            _allow_many_cases(getattr(method, "__func__", method))


def _whole_test(function: Callable[..., Any]) -> Callable[..., Any]:
    name = next(iter(inspect.signature(function).parameters), "self")

    @functools.wraps(function)
    def whole_test(*args: Any, **kwargs: Any) -> Any:
        case = kwargs[name] if name in kwargs else args[0]
        examples: Examples | None = getattr(case, "_examples", None)
        if examples is None:  # It is also a method of a test case that is none of ours.
            return function(*args, **kwargs)

        def body(example: Any) -> functools.partial[Any]:
            if name in kwargs:
                return functools.partial(function, *args, **{**kwargs, name: example})
            return functools.partial(function, example, *args[1:], **kwargs)

        return examples.run_one(case, body)

    setattr(whole_test, _MARK, True)
    return whole_test


def _allow_many_cases(function: Any) -> None:
    """Let the test run again on another test case, as every example does anyway: that makes no example flaky."""
    from hypothesis import HealthCheck, settings

    present = function._hypothesis_internal_use_settings
    allowed = [*present.suppress_health_check, HealthCheck.differing_executors]
    function._hypothesis_internal_use_settings = settings(present, suppress_health_check=allowed)
