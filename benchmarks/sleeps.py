"""The figure on virtual time: sleeps of up to an hour. The reference is asyncio with as many turns of its loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter

from benchmarks.measure import Compared, Figure, Subject
from supertester.schedule import VirtualLoop

__all__ = ["SLEEPS", "figures", "sleeping"]

SLEEPS = 5
"""How many times each task sleeps."""
_HOUR = 3600.0


def sleeping(make_loop: Callable[[], asyncio.AbstractEventLoop], *, longest: float = _HOUR) -> Callable[[int], float]:
    """Return what measures a sleep of up to *longest* seconds in a loop that *make_loop* makes, its making included."""

    def run(units: int) -> float:
        begun = perf_counter()
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(_sleepers(units, longest))
        return (perf_counter() - begun) / units

    return run


async def _sleepers(units: int, longest: float) -> None:
    lengths = random.Random(7341)
    await asyncio.gather(*(_sleeper(lengths, longest) for _ in range(max(1, units // SLEEPS))))


async def _sleeper(lengths: random.Random, longest: float) -> None:
    for _ in range(SLEEPS):
        await asyncio.sleep(lengths.random() * longest)


def figures() -> list[Figure]:
    reference = "asyncio's loop, sleeps of no time"
    return [
        Figure(
            name="virtual-sleep",
            title="a sleep of up to an hour; 200 tasks with 5 each",
            unit="sleep",
            reference=reference,
            compared=Compared.COST,
            subjects=[
                Subject(name=reference, run=sleeping(asyncio.SelectorEventLoop, longest=0.0), units=1_000, repeat=10),
                Subject(name="virtual time", run=sleeping(VirtualLoop), units=1_000, repeat=10),
            ],
        )
    ]
