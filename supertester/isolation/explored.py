"""``@explore`` on the tests of `IsolatedTestCase`: every schedule is an isolated test of its own.

A schedule has a new instance of the test case, with its set-up, its cleanups and its checks, all of which run in the
exploring loop: who goes on is the strategy's choice there, too.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, overload

from supertester.context import current_context
from supertester.errors import UsageError
from supertester.isolation.given import EXPLORED, run_parts
from supertester.isolation.loops import TestTimeout
from supertester.schedule.explorer import Explorer, Subject
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.report import ExplorationReport
from supertester.schedule.run import end_tasks, note_failure
from supertester.schedule.settings import REPLAY, Settings, token_to_replay

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


def _marked(settings: Settings, test: Any) -> Any:
    if not inspect.iscoroutinefunction(inspect.unwrap(test)):
        raise TypeError(f"@explore takes an async test, got {test!r}; there is nothing to interleave in a plain one")

    @functools.wraps(test)
    async def explored(*args: Any, **kwargs: Any) -> Any:
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
        subject = Subject(_CaseProgram(case, name), case.id(), functools.partial(_command, case.id()), (self._skips,))
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        explorer = Explorer(subject, self._settings, deadline=deadline)
        token = token_to_replay()
        report = explorer.explore() if token is None else explorer.replay(token)
        if report.ok and report.out_of_time:
            raise TestTimeout(
                f"{report.schedules} of {report.limit} schedules passed within the timeout of {self._timeout:g} s, and "
                "then it was over; ask for fewer schedules or less seconds=, or give the class a longer timeout"
            )
        return report


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

    def __call__(self, loop: ExploringLoop, /) -> None:
        """Run one schedule."""
        case = self._type(self._name)
        test = functools.partial(getattr(case, self._name))
        case._begin_schedule(test, loop, ScheduleRunner)
        try:
            run_parts(case, test)
        finally:
            self._case.isolation = case.isolation


class ScheduleRunner:
    """Runs coroutines one after the other in an exploring loop; the same to a test case as `TestLoop`.

    Args:
        loop: The loop.
        enter: Is given the loop in each context in which it is asked for.
    """

    def __init__(self, loop: ExploringLoop, enter: Callable[[Any], object]) -> None:
        self._loop = loop
        self._enter = enter

    def get_loop(self) -> ExploringLoop:
        """Return the loop."""
        self._enter(self._loop)
        return self._loop

    def can_wait(self) -> bool:
        """Say whether the loop can be entered when it is needed."""
        return True

    def run(self, coroutine: Coroutine[Any, Any, Any], *, context: Context) -> Any:
        """Run *coroutine* as a task in *context* and return its result."""
        loop = self._loop
        context.run(self.get_loop)
        task = loop.create_task(coroutine, context=context)
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            if not isinstance(error, (KeyboardInterrupt, SystemExit)):
                note_failure(loop, error)
            if not task.done():
                end_tasks(loop)
            raise

    def limit(self, seconds: float | None, *, of: float | None = None) -> None:
        """Do nothing: steps and virtual time are limited, and all schedules together."""

    def check(self) -> None:
        """Do nothing, as there is no limit."""

    def close(self, timeout: float) -> None:
        """End what is left, and close the loop."""
        self._loop.close()
