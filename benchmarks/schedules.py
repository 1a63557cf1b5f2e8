"""The figures on exploring loops: schedules of small programs. The reference is asyncio with a loop for each run."""

from __future__ import annotations

import asyncio
import random
import unittest
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from benchmarks.measure import Compared, Figure, Subject
from supertester import IsolatedTestCase, explore
from supertester.schedule import explore_schedules
from supertester.schedule.entropy import controlled_entropy
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo, Strategy

__all__ = ["PROGRAMS", "figures"]

Program = Callable[[], Coroutine[Any, Any, object]]

_STEPS = 100


async def _lock() -> None:
    """Let two workers take a lock: ten steps."""
    lock = asyncio.Lock()
    state = [0]

    async def worker() -> None:
        async with lock:
            before = state[0]
            await asyncio.sleep(0)
            state[0] = before + 1

    await asyncio.gather(worker(), worker())


async def _tasks() -> None:
    """Let ten tasks take a hundred turns each."""

    async def turns() -> None:
        for _ in range(_STEPS):
            await asyncio.sleep(0)

    await asyncio.gather(*(turns() for _ in range(10)))


async def _sleeps() -> None:
    """Sleep thirty times for no time, so that asyncio is not held up by them; explored programs do not mind."""
    await asyncio.gather(*(asyncio.sleep(1e-9 * (number % 7)) for number in range(30)))


PROGRAMS: dict[str, tuple[str, Program, int]] = {
    "lock": ("a lock, 2 workers", _lock, 1_000),
    "tasks": ("10 tasks of 100 turns", _tasks, 20),
    "sleeps": ("30 sleeps", _sleeps, 100),
}
"""Title, program, and how many schedules of it are measured at a time."""


class _Anyhow(Strategy):
    """Any of those that can run, the cheapest choice that explores."""

    def __init__(self) -> None:
        self._chance = random.Random(5).random

    def choose(self, runnable: list[Any], _current: Any) -> int:
        return int(self._chance() * len(runnable))


def _exploring(program: Program, strategy: Strategy) -> Callable[[int], float]:
    def run(units: int) -> float:
        with controlled_entropy():
            begun = perf_counter()
            for _ in range(units):
                ExploringLoop(strategy).run(program())
            return (perf_counter() - begun) / units

    return run


def _by_run(program: Program) -> Callable[[int], float]:
    def run(units: int) -> float:
        begun = perf_counter()
        for _ in range(units):
            asyncio.run(program())
        return (perf_counter() - begun) / units

    return run


def _by_runner(program: Program) -> Callable[[int], float]:
    def run(units: int) -> float:
        with asyncio.Runner() as runner:
            begun = perf_counter()
            for _ in range(units):
                runner.run(program())
            return (perf_counter() - begun) / units

    return run


def _by_function(units: int) -> float:
    begun = perf_counter()
    report = explore_schedules(_lock, schedules=units, strategy="random", database=False)
    taken = perf_counter() - begun
    if report.schedules != units:
        raise RuntimeError(str(report))
    return taken / units


def _by_test(units: int) -> float:
    class Inner(IsolatedTestCase):
        @explore(schedules=units, strategy="random", database=False)
        async def test(self) -> None:
            await _lock()

    result = unittest.TestResult()
    begun = perf_counter()
    Inner("test").run(result)
    taken = perf_counter() - begun
    if not result.wasSuccessful():
        raise RuntimeError(str([*result.failures, *result.errors]))
    return taken / units


def figures() -> list[Figure]:
    return [*(_figure(name, *row) for name, row in PROGRAMS.items()), _figure_of_tests()]


def _figure_of_tests() -> Figure:
    return Figure(
        name="schedules-test",
        title="a schedule of a lock, 2 workers, as users explore it",
        unit="schedule",
        reference="asyncio.run",
        compared=Compared.SPEED,
        subjects=[
            Subject(name="asyncio.run", run=_by_run(_lock), units=1_000),
            Subject(name="explore_schedules", run=_by_function, units=5_000, goal=2.75),
            # 15,000 schedules in a second.
            Subject(name="@explore in IsolatedTestCase", run=_by_test, units=5_000, goal=1.18),
        ],
    )


def _figure(name: str, title: str, program: Program, units: int) -> Figure:
    # 35,000 schedules in a second, where asyncio.run makes 12,700 runs.
    goal = 2.75 if name == "lock" else None
    return Figure(
        name=f"schedules-{name}",
        title=f"a schedule: {title}",
        unit="schedule",
        reference="asyncio.run",
        compared=Compared.SPEED,
        subjects=[
            Subject(name="asyncio.run", run=_by_run(program), units=units),
            Subject(name="one asyncio.Runner", run=_by_runner(program), units=units),
            Subject(name="explored, asyncio's order", run=_exploring(program, Fifo()), units=units, goal=goal),
            Subject(name="explored, any order", run=_exploring(program, _Anyhow()), units=units, goal=goal),
        ],
    )
