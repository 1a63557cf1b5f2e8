"""Whether an operation keeps its bounds: exact counts first, then processor time, then time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from supertester.performance.attribution import CpuClock
from supertester.performance.measurement import (
    PROCESS_BOUNDS,
    Measurement,
    check_bounds,
    check_callable,
    check_expectations,
    measure_operation,
    timed,
    value_of,
)
from supertester.performance.statistics import Interval, median_interval
from supertester.performance.verdict import (
    Disturbance,
    Judged,
    Rounds,
    Verdict,
    cautious,
    checked_rounds,
    judge,
    looks,
    overall,
)
from supertester.telemetry.emission import spanned

__all__ = ["probe_performance"]

_TIMES: Final = {"max_cpu_ms": "cpu_ms", "max_time_ms": "time_ms"}
"""The bounds that are noisy, the less noisy first."""
_FEWEST: Final = 3


@spanned("performance.probe_performance", current=False, quiet=True)
async def probe_performance(
    fn: Callable[[], Any],
    *,
    once: bool = False,
    rounds: Rounds | None = None,
    process: Any = None,
    **bounds: float,
) -> Judged:
    """Find out whether *fn*, plain or async, keeps its *bounds*, and return the verdict with its evidence.

    Calls and memory are counted in runs of their own, and decide at once. Times are those of runs that nothing
    disturbs: after a warm-up, ten of them, each beside a piece of work that is always the same; then more, as long as
    the limit lies within the confidence interval of the median. What is over the limit only as much as the machine is
    slower than at its best, or what stays near the limit to the end, is inconclusive.

    Args:
        fn: The operation; it runs at least once for each kind of bound.
        once: Run *fn* a single time and compare what that took, as `check_expectations` does.
        rounds: How often to measure times.
        process: The process that the bounds ``max_process_...`` are of; see `measure_operation`.
        bounds: As for `check_expectations`.

    Raises:
        UsageError: There is no bound, or one is negative.
        TypeError: One is unknown, or no number, or *fn* cannot be called.

    >>> import asyncio
    >>> asyncio.run(probe_performance(lambda: sum(range(100)), max_time_ms=10_000)).verdict
    <Verdict.PASS: 'pass'>
    """
    check_bounds(bounds)
    check_callable(fn)
    rounds = checked_rounds(rounds, Rounds())
    if once:
        return _single(await measure_operation(fn, once=True, process=process), bounds)
    counted = await _counts(fn, bounds, process)
    if counted is not None and counted.verdict is Verdict.FAIL:
        return counted
    limits = {name: bounds[name] for name in _TIMES if name in bounds}
    if not limits:
        assert counted is not None
        return counted
    timings = await _times(fn, limits, rounds)
    return (
        timings
        if counted is None
        else Judged(
            timings.verdict, counted.evidence + timings.evidence, timings.result, counted.details | timings.details
        )
    )


def _single(measurement: Measurement, bounds: dict[str, float]) -> Judged:
    mismatch = check_expectations(measurement, **bounds)
    evidence = () if mismatch is None else (str(mismatch),)
    return Judged(Verdict.FAIL if mismatch else Verdict.PASS, evidence, measurement.result)


async def _counts(fn: Callable[[], Any], bounds: dict[str, float], process: Any) -> Judged | None:
    """Judge what can be counted; ``None`` if there is no bound for it."""
    counted = ("max_reductions", "max_memory_bytes", *PROCESS_BOUNDS)
    limits = {name: bounds[name] for name in counted if name in bounds}
    if not limits:
        return None
    # What is allocated for the first run and kept, in another process or in caches of this one, is no growth.
    once = process is None and "max_memory_bytes" not in limits
    measured = await measure_operation(fn, once=once, process=process)
    mismatch = check_expectations(measured, **limits)
    if mismatch is not None:
        return Judged(Verdict.FAIL, (str(mismatch),), measured.result)
    details = {name: value_of(measured, name) for name in limits}
    return Judged(
        Verdict.PASS,
        tuple(f"{name.removeprefix('max_')} is {value}, at most {limits[name]:g}" for name, value in details.items()),
        measured.result,
        {name.removeprefix("max_"): value for name, value in details.items()},
    )


class _Samples:
    """The times of an operation, round by round."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn = fn
        self._clock = CpuClock()
        self._disturbance = Disturbance()
        self._samples: dict[str, list[float]] = {"cpu_ms": [], "time_ms": []}
        self.result: Any = None

    def count(self) -> int:
        return len(self._samples["cpu_ms"])

    async def take(self, until: int, deadline: float) -> None:
        """Measure until there are so many rounds, or it is late and there are at least three."""
        while self.count() < until and (self.count() < _FEWEST or time.monotonic() < deadline):
            self._disturbance.look()
            times = await timed(self._fn, self._clock)
            self._samples["cpu_ms"].append(times.cpu_ns / 1e6)
            self._samples["time_ms"].append(times.wall_ns / 1e6)
            self.result = times.result

    def judged(self, name: str, limit: float) -> tuple[Verdict, str, Interval]:
        """Judge one of the times, with the evidence."""
        interval = cautious(median_interval(self._samples[name]))
        slowdown = self._disturbance.of_cpu() if name == "cpu_ms" else self._disturbance.of_wall()
        verdict = judge(interval, limit, slowdown=slowdown)
        return verdict, _evidence(name, interval, limit, verdict, slowdown), interval


async def _times(fn: Callable[[], Any], limits: dict[str, float], rounds: Rounds) -> Judged:
    deadline = time.monotonic() + rounds.seconds
    for _ in range(rounds.warmup):
        await timed(fn)
    samples = _Samples(fn)
    judged: dict[str, tuple[Verdict, str, Interval]] = {}
    for count in looks(rounds):
        await samples.take(count, deadline)
        judged = {name: samples.judged(name, limits[bound]) for bound, name in _TIMES.items() if bound in limits}
        if overall([verdict for verdict, *_ in judged.values()]) is not Verdict.INCONCLUSIVE:
            break
        if samples.count() < count:
            break
    return Judged(
        overall([verdict for verdict, *_ in judged.values()]),
        tuple(evidence for _, evidence, _ in judged.values()),
        samples.result,
        {name: interval.to_dict() for name, (_, _, interval) in judged.items()},
    )


def _evidence(name: str, interval: Interval, limit: float, verdict: Verdict, slowdown: float) -> str:
    seen = (
        f"{name} is {interval.median:.4g}, between {interval.low:.4g} and {interval.high:.4g} "
        f"in {interval.samples} runs ({interval.confidence:.1%} sure)"
    )
    match verdict:
        case Verdict.PASS:
            return f"{seen}, within the maximum of {limit:g}"
        case Verdict.FAIL:
            return f"{seen}, exceeded maximum of {limit:g}"
        case Verdict.INCONCLUSIVE:
            busy = f"; the machine was {slowdown:.2g} times slower than at its best" if interval.low > limit else ""
            return f"{seen}, cannot be told from the maximum of {limit:g}{busy}"
