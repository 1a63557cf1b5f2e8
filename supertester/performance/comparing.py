"""Operations compared with each other, and one operation's times over many runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from supertester._core.columns import text_table
from supertester.errors import UsageError
from supertester.performance.measurement import Measurement, check_callable, measure_operation, timed
from supertester.performance.reductions import prepare
from supertester.performance.sampling import Sampler, ratios
from supertester.performance.statistics import Interval, median_interval, percentile
from supertester.performance.verdict import Rounds, checked_rounds
from supertester.telemetry.emission import spanned

__all__ = ["Benchmark", "Comparison", "benchmark", "compare_performance"]

_ROUNDS: Final = Rounds(first=20, most=20)
_FEWEST: Final = 3


class Comparison(dict[str, Measurement]):
    """The measurements of several operations by name, and how each compares with the first of them.

    Attributes:
        ratios: By name, how many times as long as the first it takes.
        cpu_ratios: The same for processor time.
    """

    def __init__(
        self,
        measured: Mapping[str, Measurement],
        ratios: Mapping[str, Interval],
        cpu_ratios: Mapping[str, Interval],
    ) -> None:
        super().__init__(measured)
        self.ratios = dict(ratios)
        self.cpu_ratios = dict(cpu_ratios)

    @property
    def reference(self) -> str:
        """The name of the one that the others are compared with."""
        return next(iter(self))

    def differ(self, name: str) -> bool:
        """Say whether *name* is certainly faster, or slower, than the first."""
        found = self.ratios[name]
        return not found.low <= 1.0 <= found.high

    def __str__(self) -> str:
        rows = [("", "time", "times the first", "between", "calls", "bytes kept")]
        for name, measured in self.items():
            found = self.ratios[name]
            ratio = (
                ("1", "")
                if name == self.reference
                else (f"{found.median:.3g}", f"{found.low:.3g} and {found.high:.3g}")
            )
            cost = (f"{measured.reductions}", f"{measured.memory_bytes}")
            rows.append((name, f"{measured.time_us:.4g} us", *ratio, *cost))
        return text_table(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "measurements": {name: measured.to_dict() for name, measured in self.items()},
            "reference": self.reference,
            "ratios": {name: found.to_dict() for name, found in self.ratios.items()},
            "cpu_ratios": {name: found.to_dict() for name, found in self.cpu_ratios.items()},
        }


@spanned("performance.compare_performance", current=False, quiet=True)
async def compare_performance(
    operations: Mapping[str, Callable[[], Any]], *, rounds: Rounds | None = None
) -> Comparison:
    """Measure *operations*, plain or async, side by side, and return what each costs and how they compare.

    Each round runs every operation, so what slows the machine slows them all; the ratios are taken within rounds. The
    times are medians, the ratios have confidence intervals. Calls and memory are counted in runs of their own.

    Args:
        operations: By name; the first is what the others are compared with.
        rounds: How often to measure; by default 20 rounds or ten seconds.

    Raises:
        UsageError: There is no operation.
        TypeError: One cannot be called.

    >>> import asyncio
    >>> found = asyncio.run(compare_performance({"list": lambda: [0] * 10, "tuple": lambda: (0,) * 10}))
    >>> sorted(found)
    ['list', 'tuple']
    """
    if not isinstance(operations, Mapping):
        raise TypeError(f"operations must be a mapping of names to functions, got {operations!r}")
    if not operations:
        raise UsageError("there is nothing to compare; give operations by name")
    for fn in operations.values():
        check_callable(fn)
    rounds = checked_rounds(rounds, _ROUNDS)
    deadline = time.monotonic() + rounds.seconds
    sampler = Sampler(operations)
    prepare()
    await sampler.warm_up(rounds.warmup)
    await sampler.take(rounds.most, deadline, fewest=_FEWEST)
    samples, reference = sampler.samples, next(iter(operations))
    return Comparison(
        {name: await _measured(fn, sampler, name) for name, fn in operations.items()},
        {name: median_interval(ratios(samples[name], samples[reference], "time_us")) for name in operations},
        {name: median_interval(ratios(samples[name], samples[reference], "cpu_us")) for name in operations},
    )


async def _measured(fn: Callable[[], Any], sampler: Sampler, name: str) -> Measurement:
    counted = await measure_operation(fn, once=True)
    samples = sampler.samples[name]
    return replace(
        counted,
        time_us=statistics.median(sample.time_us for sample in samples),
        cpu_us=statistics.median(sample.cpu_us for sample in samples),
    )


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The times of single runs, in seconds.

    ``p95`` and ``p99`` are the times at the nearest rank; ``None`` if there are too few runs to have any beyond it, as
    with less than 100 for ``p99``.
    """

    iterations: int
    min: float
    max: float
    mean: float
    median: float
    p95: float | None
    p99: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return asdict(self)


@spanned("performance.benchmark", current=False, quiet=True)
async def benchmark(fn: Callable[[], Any], *, warmup: int = 100, iterations: int = 1000) -> Benchmark:
    """Run *fn*, plain or async, again and again, and return how long single runs took, in seconds.

    Args:
        fn: The operation.
        warmup: Runs before, which do not count.
        iterations: Runs that do.

    Raises:
        UsageError: There is no run.
        TypeError: A number is none, or *fn* cannot be called.

    >>> import asyncio
    >>> found = asyncio.run(benchmark(lambda: sum(range(100)), iterations=200))
    >>> found.min <= found.median <= found.p95 <= found.p99 <= found.max
    True
    """
    check_callable(fn)
    for name, value, least in (("warmup", warmup, 0), ("iterations", iterations, 1)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, got {name}={value!r}")
        if value < least:
            raise UsageError(f"{name} must be {least} or more, got {name}={value!r}")
    for _ in range(warmup):
        await timed(fn)
    taken = sorted([(await timed(fn)).wall_ns / 1e9 for _ in range(iterations)])
    return Benchmark(
        iterations=iterations,
        min=taken[0],
        max=taken[-1],
        mean=statistics.fmean(taken),
        median=statistics.median(taken),
        p95=percentile(taken, 95),
        p99=percentile(taken, 99),
    )
