"""`explore_schedules`: an async function under many schedules, without a test case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from supertester._core.examples import is_draft, is_example
from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.schedule.explorer import Explorer
from supertester.schedule.faults import Faults
from supertester.schedule.report import ExplorationReport
from supertester.schedule.run import AsyncProgram
from supertester.schedule.settings import REPLAY, Settings, token_to_replay
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.subject import Subject

__all__ = ["explore_named", "explore_schedules", "explored", "replay_schedule", "replayed"]

AsyncFunction = Callable[[], Coroutine[Any, Any, object]]


def explore_schedules(
    async_fn: AsyncFunction,
    *,
    schedules: int = 1000,
    strategy: str | Strategy = "auto",
    seed: int | None = None,
    seconds: float | None = None,
    level: str = "await",
    complete: bool = False,
    invariant: Callable[[], Any] | None = None,
    step_limit: int = 100_000,
    faults: Faults | None = None,
    leaks: str = "fail",
    database: Path | str | bool = True,
) -> ExplorationReport:
    """Run *async_fn* under one schedule after another until one fails; report that one, shrunk and explained.

    A schedule says who goes on wherever several tasks could. Each has an event loop, virtual time and random numbers of
    its own, and calls *async_fn* anew. It fails if that raises, if all that is left waits for ever, if there is no end,
    if a background task fails and nobody asks for its result, if tasks are left running, or if the invariant does not
    hold after some step. With the variable ``SUPERTESTER_REPLAY`` in the environment, only the schedule of that token
    is run.

    Args:
        async_fn: An async function without arguments.
        schedules: How many schedules to run at most.
        strategy: How they are chosen: a name, such as ``"auto"``, ``"random"`` or ``"fifo"``, or a `Strategy`.
        seed: What random choices come from; by default it is derived from ``SUPERTESTER_SEED`` or one drawn for this
            run.
        seconds: When to stop looking, in seconds of real time; ``None`` for no limit.
        level: ``"await"``: any task that could go on may have to wait; ``"io"``: tasks go on in asyncio's own order,
            and only timers, messages, I/O and jobs of executors come in any order.
        complete: Whether all schedules that can differ have to be run, so that it is also a failure if there are more
            than *schedules*. The strategies that can tell are ``"dpor"``, which ``"auto"`` then stands for, and
            ``"bounded"``.
        invariant: A plain function without arguments that must hold after each step; see `watch_invariant`.
        step_limit: Steps after which a schedule counts as one without end.
        faults: What may go wrong in a schedule, and how often: `Faults`.
        leaks: What a task that is left running does: ``"fail"`` or ``"ignore"``.
        database: The folder to save failing schedules in; ``True`` for ``.supertester``, ``False`` to save none.

    Raises:
        UsageError: A value makes no sense, the token to replay is none of this function's, or the function does what no
            schedule can control, such as real I/O.
        TypeError: A value is of a wrong type, or *async_fn* is not async.

    >>> async def two_deposits():
    ...     balance = 0
    ...     async def deposit(amount):
    ...         nonlocal balance
    ...         seen = balance
    ...         await asyncio.sleep(0)
    ...         balance = seen + amount
    ...     await asyncio.gather(deposit(1), deposit(2))
    ...     assert balance == 3, f"{balance} of 3"
    >>> report = explore_schedules(two_deposits, seed=1, database=False)
    >>> report.ok, report.failing.sentence, report.failing.switches
    (False, 'AssertionError: 1 of 3', 1)
    """
    settings = Settings(
        schedules=schedules,
        strategy=strategy,
        seed=seed,
        seconds=seconds,
        level=level,
        complete=complete,
        invariant=invariant,
        step_limit=step_limit,
        faults=faults,
        leaks=leaks,
        database=database,
    )
    explorer = _explorer(async_fn, settings, "explore_schedules")
    token = token_to_replay()
    return explorer.explore(explains=not is_draft()) if token is None else explorer.replay(token)


def replay_schedule(async_fn: AsyncFunction, token: str, **options: Any) -> ExplorationReport:
    """Run the one schedule of *async_fn* that *token* stands for, and report what happens in it.

    Args:
        async_fn: As in `explore_schedules`.
        token: Is printed with a failure, and is ``report.failing.token``.
        options: Those of `explore_schedules` that change what a schedule is: ``invariant``, ``step_limit``, ``faults``
            and ``leaks``.

    Raises:
        UsageError: It is no token, or the function goes another way than the token says; the step is named.
        TypeError: *async_fn* is not async, or there is no such option.

    Example::

        report = replay_schedule(two_deposits, "s1.eNpjZt...")
        print(report)
    """
    return _explorer(async_fn, Settings.made_of(options, "replay_schedule()"), "replay_schedule").replay(token)


def _explorer(function: AsyncFunction, settings: Settings, whose: str) -> Explorer:
    if not callable(function):
        raise TypeError(f"{whose}() takes an async function, got {function!r}")
    _check_place(whose)
    name = f"{getattr(function, '__module__', None) or type(function).__module__}.{describe(function)}"
    return Explorer(_subject(function, name, settings), settings)


def explore_named(function: AsyncFunction, name: str, options: Mapping[str, Any], whose: str) -> ExplorationReport:
    """Do what `explore_schedules` does, for a function of the library's own; *name* is that of what it stands for."""
    settings = Settings.made_of(options, f"{whose}()")
    return explored(_subject(function, name, settings), settings, whose)


def explored(subject: Subject, settings: Settings, whose: str) -> ExplorationReport:
    """Explore *subject* on behalf of the function *whose*, or replay the token of the environment.

    In an example that Hypothesis will go on to shrink it is not asked why a schedule fails.
    """
    _check_place(whose)
    explorer = Explorer(subject, settings)
    token = token_to_replay()
    if token is None:
        return explorer.explore(explains=not is_draft())
    if is_example() and not explorer.is_of(token):
        return explorer.nothing()
    return explorer.replay(token)


def replayed(subject: Subject, settings: Settings, token: str, whose: str) -> ExplorationReport:
    """Replay the schedule of *subject* that *token* stands for, on behalf of the function *whose*."""
    _check_place(whose)
    return Explorer(subject, settings).replay(token)


def _subject(function: AsyncFunction, name: str, settings: Settings) -> Subject:
    return Subject(AsyncProgram(function, leaks=settings.leaks), name, _command)


def _check_place(whose: str) -> None:
    if asyncio._get_running_loop() is not None:
        raise UsageError(
            f"{whose}() runs an event loop of its own for each schedule, and one is running already; call it from "
            "plain code, such as a test with `def` instead of `async def`"
        )


def _command(token: str) -> str:
    return f"{REPLAY}={token}, in the environment of the same program"
