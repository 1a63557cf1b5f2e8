"""Times of operations side by side: what drifts, drifts for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from supertester.performance.attribution import CpuClock
from supertester.performance.measurement import timed

__all__ = ["Sample", "Sampler", "ratios"]

_LONG_ENOUGH_NS: Final = 2_000_000
"""How long a sample has to last, so that neither the clock's steps nor a single interruption matter."""
_MOST_RUNS: Final = 10_000


@dataclass(frozen=True)
class Sample:
    """What one run cost, in microseconds, on average over as many as it took to be measured well."""

    time_us: float
    cpu_us: float


@dataclass
class Sampler:
    """Measures several operations in turn, every second round in reverse order.

    Attributes:
        operations: What to measure, by name.
        samples: What was measured, by name, round by round.
    """

    operations: Mapping[str, Callable[[], Any]]
    samples: dict[str, list[Sample]] = field(init=False)

    def __post_init__(self) -> None:
        self.samples = {name: [] for name in self.operations}
        self._runs = dict.fromkeys(self.operations, 1)
        self._clock = CpuClock()

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return min(map(len, self.samples.values()))

    async def warm_up(self, runs: int) -> None:
        """Run each operation at least *runs* times, and find out how many runs a sample takes."""
        for name, fn in self.operations.items():
            for _ in range(runs):
                await timed(fn, self._clock)
            while (await self._total(name))[0] < _LONG_ENOUGH_NS and self._runs[name] < _MOST_RUNS:
                self._runs[name] *= 2

    async def take(self, rounds: int, deadline: float, *, fewest: int) -> None:
        """Measure until there are so many *rounds*, or it is late and there are at least the *fewest*."""
        while self.rounds < rounds and (self.rounds < fewest or time.monotonic() < deadline):
            order = list(self.operations)
            for name in order if self.rounds % 2 == 0 else reversed(order):
                wall, cpu = await self._total(name)
                runs = self._runs[name]
                self.samples[name].append(Sample(wall / runs / 1000, cpu / runs / 1000))

    async def _total(self, name: str) -> tuple[int, int]:
        """Return the nanoseconds that passed in all the runs of a sample, and the processor time."""
        fn = self.operations[name]
        runs = self._runs[name]

        async def several() -> None:
            for _ in range(runs):
                result = fn()
                if hasattr(result, "__await__"):
                    await result

        times = await timed(several, self._clock)
        return times.wall_ns, times.cpu_ns


def ratios(own: Sequence[Sample], reference: Sequence[Sample], by: str) -> list[float]:
    """Return how many times as much as the *reference* each sample cost, round by round.

    >>> ratios([Sample(4, 4), Sample(6, 6)], [Sample(2, 2), Sample(2, 2)], "cpu_us")
    [2.0, 3.0]
    """
    return [getattr(one, by) / max(getattr(other, by), 1e-9) for one, other in zip(own, reference, strict=False)]
