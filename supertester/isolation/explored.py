"""``@explore`` on the tests of `IsolatedTestCase`: every schedule is an isolated test of its own.

A schedule has a new instance of the test case, with its set-up, its cleanups and its checks, all of which run in the
exploring loop: who goes on is the strategy's choice there, too.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import time
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import replace
from typing import Any, Final, TypeVar, overload

from supertester._core.examples import is_example
from supertester._core.exploring import served_by
from supertester.attachments import attach
from supertester.context import current_context
from supertester.errors import UsageError
from supertester.isolation.given import EXPLORED, is_given
from supertester.isolation.loops import TestTimeout
from supertester.isolation.schedule_scope import Plan, ScheduleScope
from supertester.schedule.explorer import Explorer
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.report import ExplorationReport
from supertester.schedule.run import end_tasks, note_failure
from supertester.schedule.settings import REPLAY, Settings, token_to_replay
from supertester.schedule.subject import Subject

__all__ = ["ScheduleRunner", "Schedules", "explore"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.

T = TypeVar("T", bound=Callable[..., Coroutine[Any, Any, object]])


@overload
def explore(test: T, /) -> T: ...
@overload
def explore(**options: Any) -> Callable[[T], T]: ...
def explore(test: Any = None, /, **options: Any) -> Any:
    """Run an async test of `IsolatedTestCase` under many schedules, each with a new instance of the test case.

    The first schedule that fails is shrunk to the fewest forced switches, explained, and saved; the failure of the test
    ends with one command that replays it.

    Args:
        test: The test, where there are no options.
        options: Those of `supertester.schedule.explore_schedules`.

    Raises:
        TypeError: The test is not async, or there is no such option.
        UsageError: The value of an option makes no sense.

    Example::

        class PoolTest(IsolatedTestCase):
            @explore
            async def test_checkout(self):
                pool = Pool(size=2)
                await asyncio.gather(*(pool.checkout() for _ in range(3)))
                self.assertLessEqual(pool.out, 2)

            @explore(schedules=5000, level="io")
            async def test_timeouts(self): ...
    """
    settings = Settings.made_of(options, "@explore")
    return functools.partial(_marked, settings) if test is None else _marked(settings, test)


_NOT_BOTH: Final = (
    "@explore and @given cannot be on one test; explore within each example: write a plain test with @given, and call "
    "self.explore_scenario(), self.explore_program() or explore_schedules() in it"
)


def _marked(settings: Settings, test: Any) -> Any:
    if is_given(test):
        raise TypeError(_NOT_BOTH)
    if not inspect.iscoroutinefunction(inspect.unwrap(test)):
        raise TypeError(f"@explore takes an async test, got {test!r}; there is nothing to interleave in a plain one")

    @functools.wraps(test)
    async def explored(*args: Any, **kwargs: Any) -> Any:
        if is_example():
            raise UsageError(_NOT_BOTH)
        if current_context.get() is None or not args or not hasattr(args[0], "_begin_example"):
            raise UsageError(
                f"@explore on {test.__qualname__} needs a method of IsolatedTestCase, which runs each schedule as a "
                "test of its own; elsewhere use supertester.schedule.explore_schedules()"
            )
        return await test(*args, **kwargs)

    setattr(explored, EXPLORED, settings)
    return explored


class Schedules:
    """All the schedules of one test.

    Args:
        settings: How they are explored.
        timeout: Seconds that they may take together; ``None`` for no limit.
        skips: The exception by which a test is skipped.
    """

    def __init__(self, settings: Settings, timeout: float | None, skips: type[BaseException]) -> None:
        self._settings = settings
        self._timeout = timeout
        self._skips = skips

    def run(self, case: Any, name: str) -> ExplorationReport:
        """Explore the test *name* of *case*.

        Raises:
            UsageError: The token to replay is of another test.
            TestTimeout: Time was over before as many schedules were run, or as many seconds spent, as should be.
        """
        settings = self._settings
        if _is_expected_to_fail(case, name):
            settings = replace(settings, database=False)
        subject = Subject(_CaseProgram(case, name), case.id(), functools.partial(_command, case.id()), (self._skips,))
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        explorer = Explorer(subject, settings, deadline=deadline)
        token = token_to_replay()
        report = explorer.explore() if token is None else explorer.replay(token)
        if report.ok and report.out_of_time:
            raise TestTimeout(
                f"{report.schedules} of {report.limit} schedules passed within the timeout of {self._timeout:g} s, and "
                "then it was over; ask for fewer schedules or less seconds=, or give the class a longer timeout"
            )
        attach("schedules", report)
        return report


def _is_expected_to_fail(case: Any, name: str) -> bool:
    mark = "__unittest_expecting_failure__"
    return getattr(case, mark, False) or getattr(getattr(case, name), mark, False)


def _command(test_id: str, token: str) -> str:
    return f"PYTHONHASHSEED={_hash_seed()} {REPLAY}={token} python -m unittest {test_id}"


def _hash_seed() -> str:
    """Return the seed that makes sets of strings have one order; that of this process, if somebody gave it one."""
    given = os.environ.get("PYTHONHASHSEED", "")
    return given if given.isdecimal() else "0"


class _CaseProgram:
    """A test, as a program that runs on an exploring loop."""

    def __init__(self, case: Any, name: str) -> None:
        self._case = case
        self._type = type(case)
        self._name = name
        self._plan: Plan = case._plan_schedules()
        self._early = self._plan.early
        self._has_async_set_up = case._overrides("asyncSetUp")
        self._has_async_tear_down = case._overrides("asyncTearDown")
        ScheduleScope.prepare(self._plan)

    def __call__(self, loop: ExploringLoop, /) -> None:
        """Run one schedule: the parts of a test as ``unittest`` runs them."""
        scope = ScheduleScope(self._plan, self._early, loop)
        case = self._type(self._name)
        context = copy_context()
        runner = ScheduleRunner(loop, context)
        case._begin_schedule(scope.context, runner, context)
        self._case.isolation = scope.context
        errors: list[BaseException] = []
        try:
            context.run(scope.open)
            self._run_test(case, runner, errors)
            _run_cleanups(case, runner, errors)
            self._finish(scope, runner, errors)
        finally:
            loop.close()
            scope.close()
        if errors or scope.context.problems or scope.errors:
            raise _first_of(case, scope, errors)

    def _run_test(self, case: Any, runner: ScheduleRunner, errors: list[BaseException]) -> None:
        try:
            runner.call(case.setUp)
            if self._has_async_set_up:
                runner.run(case.asyncSetUp())
        except _ERRORS as error:
            errors.append(error)
            return
        try:
            runner.run(getattr(case, self._name)())
        except _ERRORS as error:
            errors.append(error)
        try:
            if self._has_async_tear_down:
                runner.run(case.asyncTearDown())
            runner.call(case.tearDown)
        except _ERRORS as error:
            errors.append(error)

    def _finish(self, scope: ScheduleScope, runner: ScheduleRunner, errors: list[BaseException]) -> None:
        try:
            if not scope.is_clean():
                runner.run(scope.unwind())
            runner.context.run(scope.settle, thorough=not errors)
        except _ERRORS as error:
            errors.append(error)


_ERRORS: Final = (Exception, asyncio.CancelledError)


def _run_cleanups(case: Any, runner: ScheduleRunner, errors: list[BaseException]) -> None:
    while case._cleanups:
        function, args, kwargs = case._cleanups.pop()
        try:
            if inspect.iscoroutinefunction(function):
                runner.run(function(*args, **kwargs))
            else:
                runner.call(function, *args, **kwargs)
        except _ERRORS as error:
            errors.append(error)


def _first_of(case: Any, scope: ScheduleScope, errors: list[BaseException]) -> BaseException:
    """Return the first of all errors, with notes of the others."""
    first, *others = [*errors, *filter(None, (scope.take_failure(), scope.take_errors()))]
    for other in others:
        first.add_note(f"and then: {other}")
    case._explain(first)
    return first


class ScheduleRunner:
    """Runs coroutines one after the other in an exploring loop; the part of `TestLoop` that a test case asks for.

    Args:
        loop: The loop.
        context: What they run in.
    """

    def __init__(self, loop: ExploringLoop, context: Context) -> None:
        self.context = context
        self._loop = loop

    def get_loop(self) -> ExploringLoop:
        """Return the loop."""
        return self._loop

    def call(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        """Call a plain function in the context, with the time and the random numbers of the schedule."""
        with served_by(self._loop):
            return self.context.run(function, *args, **kwargs)

    def run(self, coroutine: Coroutine[Any, Any, Any], *, context: Context | None = None) -> Any:
        """Run *coroutine* as a task in *context* and return its result."""
        loop = self._loop
        task = loop.create_task(coroutine, context=context or self.context)
        try:
            return loop.run_until_complete(task)
        except _ERRORS as error:
            note_failure(loop, error)
            if not task.done():
                end_tasks(loop)
            raise
