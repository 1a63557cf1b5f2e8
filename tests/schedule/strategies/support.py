"""Programs whose schedules can be counted, and running them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from math import sqrt
from typing import Any

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Strategy
from supertester.schedule.virtual_loop import Deadlock

__all__ = ["BruteForce", "Program", "likely", "orders", "racing", "share"]

Program = Callable[[list[str]], Coroutine[Any, Any, None]]
"""Writes what happens into the list, in its order."""


def racing(**steps: int) -> Program:
    """Return a program of tasks with so many steps each, all of them ready at once."""

    async def main(log: list[str]) -> None:
        async def task(name: str, count: int) -> None:
            for number in range(count):
                if number:
                    await asyncio.sleep(0)
                log.append(name)

        await asyncio.gather(*(task(name, count) for name, count in steps.items()))

    return main


def orders(
    strategy: Strategy, program: Program, count: int = 10**6, *, seed: int = 1, **options: Any
) -> Iterator[tuple[str, ...]]:
    """Yield what happened in each schedule, until there are no more."""
    numbers = random.Random(seed)
    for number in range(count):
        if not strategy.begin(numbers, number):
            return
        log: list[str] = []
        loop = ExploringLoop(strategy, **options)
        try:
            loop.run(program(log))
        except Deadlock:
            log.append("deadlock")
        strategy.end(loop)
        yield tuple(log)


def share(strategy: Strategy, program: Program, wanted: Callable[[tuple[str, ...]], bool], count: int = 1000) -> float:
    """Return the share of schedules in which what happened is *wanted*; the same in every run of the tests."""
    return sum(map(wanted, orders(strategy, program, count))) / count


def likely(found: float, expected: float, count: int = 1000) -> bool:
    """Say whether a share of *count* schedules is within four standard deviations of what is expected."""
    return abs(found - expected) < 4 * sqrt(expected * (1 - expected) / count)


class BruteForce(Strategy):
    """Every sequence of choices there is, by counting."""

    name = "brute force"

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []
        self.plan: list[int] = []
        self.is_first = True

    def begin(self, random: random.Random, number: int) -> bool:
        while self.taken and self.taken[-1][0] + 1 == self.taken[-1][1]:
            self.taken.pop()
        if not self.is_first and not self.taken:
            return False
        self.plan = [choice for choice, _ in self.taken]
        if self.plan:
            self.plan[-1] += 1
        self.taken = []
        self.is_first = False
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        at = len(self.taken)
        choice = self.plan[at] if at < len(self.plan) else 0
        self.taken.append((choice, len(runnable)))
        return choice
