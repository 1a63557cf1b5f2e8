"""`Diagnosis`: from a schedule that failed to the least one that does, and what happens in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.report.tracer import Tracer
from supertester.schedule.run import Failure, Run
from supertester.schedule.shrink import Attempt, Shrunk, shrink
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.fifo import Fifo
from supertester.schedule.strategies.io_level import IoLevel
from supertester.schedule.strategies.replay import Attempted, Followed, Replay
from supertester.schedule.token import Switch

__all__ = [
    "Feasibility",
    "NotDeterministic",
    "Traced",
    "blame",
    "diverging",
    "feasibility",
    "followed",
    "shrunk",
    "traced",
]

RunOnce = Callable[..., Run]
"""Runs the program once with a strategy that has begun; takes ``prepare`` as `run_schedule` does."""

_IO_SCHEDULES: Final = 300
_IO_SECONDS: Final = 1.0


class NotDeterministic(AssertionError):
    """The same choices led to something else: the program depends on more than its schedule."""


def followed(run: Run, again: RunOnce) -> tuple[tuple[Switch, ...], int, str | None]:
    """Make the choices of *run* again; return its forced switches, its number of choices, and how it diverged."""
    strategy = Followed(run.choices)
    strategy.begin(Random(0), 0)
    second = again(strategy)
    difference = strategy.finish() or _different_end(run, second)
    return tuple(strategy.made), strategy.choices, difference


def _different_end(run: Run, second: Run) -> str | None:
    first, other = (each.failure and each.failure.signature for each in (run, second))
    if first == other:
        return None
    return f"it ended with {_ending(run)}, and then, with the same choices, with {_ending(second)}"


def _ending(run: Run) -> str:
    return "no failure" if run.failure is None else repr(run.failure.exception)


def diverging(run: Run, again: RunOnce) -> NotDeterministic | None:
    """Run the schedule of *run* once more, and return what is wrong if it goes another way."""
    _, _, difference = followed(run, again)
    return None if difference is None else NotDeterministic(blame(difference))


def blame(difference: str) -> str:
    """Say what a *difference* between two runs of one schedule means."""
    return (
        f"the same choices led to another schedule the second time: {difference}\n"
        "The program depends on something besides its schedule, so a failure could not be replayed. Common causes: "
        "state that outlives a schedule (a module's or a class's), the order of a set of objects, id() or hash() of "
        "objects, real time, random numbers that were seeded elsewhere."
    )


def shrunk(switches: Iterable[Switch], found: Run, again: RunOnce) -> Shrunk:
    """Return the fewest forced switches with which the program fails as in the run that was *found*."""
    failure = found.failure
    assert failure is not None
    # One that goes on for much longer polls for what will not come; it need not be followed to the end.
    limit = found.steps * 4 + 200 if failure.kind != "livelock" else found.steps

    def prepare(loop: ExploringLoop) -> None:
        loop.step_limit = min(loop.step_limit, limit)

    def attempt(tried: tuple[Switch, ...]) -> Attempt:
        strategy = Attempted(tried)
        strategy.begin(_NONE, 0)
        run = again(strategy, prepare=prepare)
        fails = run.failure is not None and run.failure.signature == failure.signature
        return Attempt(fails, tuple(strategy.made), strategy.more)

    return shrink(switches, attempt)


_NONE = Random(0)


# What happens in a schedule -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traced:
    """A schedule with all that happened in it."""

    run: Run
    tracer: Tracer
    switches: tuple[Switch, ...]
    choices: int


def traced(switches: Iterable[Switch], again: RunOnce) -> Traced:
    """Run a schedule once more, and note every line."""
    strategy = Replay(switches)
    strategy.begin(_NONE, 0)
    tracer = Tracer()

    def prepare(loop: ExploringLoop) -> None:
        def before(lane: Lane) -> None:
            instead_of, strategy.instead_of = strategy.instead_of, None  # A lane that runs alone was not chosen.
            tracer.begin_step(lane, loop.time(), instead_of=instead_of)

        present = loop.after_step

        def after() -> None:
            tracer.end_step()
            if present is not None:
                present()

        loop.before_step, loop.after_step = before, after

    with tracer:
        run = again(strategy, prepare=prepare)
    return Traced(run, tracer, tuple(strategy.made), strategy.choices)


# Feasibility --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feasibility:
    """Whether real asyncio can produce a failure as it is.

    Attributes:
        level: ``"fifo"``: its own order fails; ``"io"``: if timers, messages, I/O and jobs come in another order;
            ``"await"``: only if some ``await`` takes longer, as far as was looked.
        schedules: How many schedules were tried.
        run: The one that fails at a level below ``"await"``.
    """

    level: str
    schedules: int
    run: Run | None = None


def feasibility(failure: Failure, again: RunOnce, strategy: Strategy, random: Random) -> Feasibility:
    """Look for a schedule that fails as in *failure* and that real asyncio can produce."""
    run = again(Fifo())
    if _fails_as(run, failure):
        return Feasibility("fifo", 1, run)
    limited = IoLevel(strategy)
    deadline = time.monotonic() + _IO_SECONDS
    count = 1
    while count < _IO_SCHEDULES and time.monotonic() < deadline and limited.begin(random, count):
        run = again(limited)
        limited.end(run)
        count += 1
        if _fails_as(run, failure):
            return Feasibility("io", count, run)
        if not limited.had_choices:
            return Feasibility("await", 1)  # There is no other one.
    return Feasibility("await", count)


def _fails_as(run: Run, failure: Failure) -> bool:
    return run.failure is not None and run.failure.signature == failure.signature
