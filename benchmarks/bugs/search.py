"""Looking for a failure: how many schedules it takes, and in how many of them there is one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.bugs.program import Program
from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop, Livelock
from supertester.schedule.strategies import Strategy, named_strategy

__all__ = ["Found", "Search", "count", "search", "share"]

STEP_LIMIT = 20_000
"""Far more than any of the programs needs. A schedule that gets there is a false alarm."""

Search = Callable[[Program, int, int], int | None]
"""Given a program, a seed and the most schedules: the number of the first that fails, from 1."""


@dataclass(frozen=True)
class Found:
    """The first failure in each of several searches; ``None`` where there was none."""

    firsts: list[int | None]

    @property
    def times(self) -> int:
        """How many searches found something."""
        return sum(first is not None for first in self.firsts)

    @property
    def mostly(self) -> bool:
        """Whether more than half of them did."""
        return self.times > len(self.firsts) / 2

    @property
    def median(self) -> float:
        """The median, in which a search without a find is longer than all others."""
        return median(float("inf") if first is None else first for first in self.firsts)

    def __str__(self) -> str:
        shown = f"{self.median:,.0f}" if self.mostly else "-"
        return shown if self.times == len(self.firsts) else f"{shown} ({self.times})"


def search(name: str) -> Search:
    """Return a search with the strategy called *name*."""

    def run(program: Program, seed: int, cap: int) -> int | None:
        strategy, numbers = named_strategy(name), random.Random(seed)
        for number in range(cap):
            if not strategy.begin(numbers, number):
                return None
            failure = _failure(program, strategy)
            if failure is not None:
                return None if isinstance(failure, Livelock) else number + 1
        return None

    return run


def _failure(program: Program, strategy: Strategy) -> BaseException | None:
    """Run one schedule, and return how it failed."""
    loop = ExploringLoop(strategy, step_limit=STEP_LIMIT)
    try:
        loop.run(program.start())
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 whatever a program raises is its failure
        return error
    finally:
        strategy.end(loop)
    return None


def count(program: Program, look: Search, *, seeds: int, cap: int) -> Found:
    """Search once with each seed."""
    return Found([look(program, seed, cap) for seed in range(seeds)])


def share(program: Program, name: str, schedules: int) -> float:
    """Return in which share of so many schedules of the strategy called *name* there is a failure.

    This says more about a strategy, in less time, than the number of the first failure.
    """
    strategy, numbers = named_strategy(name), random.Random(1)
    failures = 0
    for number in range(schedules):
        if not strategy.begin(numbers, number):
            return failures / number
        failure = _failure(program, strategy)
        failures += failure is not None and not isinstance(failure, Livelock)
    return failures / schedules
