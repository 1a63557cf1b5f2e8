"""Whether an operation has become slower than it was, or than another is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.performance.baseline import UPDATE, Baseline, fingerprint, load_baseline, save_baseline, wants_update
from supertester.performance.measurement import check_callable, count_calls
from supertester.performance.sampling import Sampler, ratios
from supertester.performance.statistics import Interval, median_interval
from supertester.performance.verdict import (
    Judged,
    Rounds,
    Verdict,
    cautious,
    checked_rounds,
    judge,
    looks,
    reference_work,
)
from supertester.telemetry.emission import spanned

__all__ = ["probe_regression"]

_ROUNDS: Final = Rounds(first=20, most=320)
_FEWEST: Final = 3
_FAILURES: Final = {"cpu": 2, "time": 3}
"""How many looks in a row have to agree on a failure: a busy machine comes and goes, and stretches time."""
_OWN, _OTHER = "operation", "baseline"


@spanned("performance.probe_regression", current=False, quiet=True)
async def probe_regression(
    fn: Callable[[], Any],
    baseline: Callable[[], Any] | str | os.PathLike[str],
    *,
    tolerance: float = 0.1,
    by: str = "cpu",
    name: str | None = None,
    update: bool | None = None,
    rounds: Rounds | None = None,
) -> Judged:
    """Find out whether *fn*, plain or async, costs more than the *baseline*.

    The functions called are compared first; that comparison is exact. Then times, side by side: with those of another
    operation, or with those of a piece of work that is always the same, whose ratio to *fn* was stored. More rounds
    are taken while the limit lies within the confidence interval of the ratio.

    Args:
        fn: The operation.
        baseline: Another operation, such as the old implementation; or the file in which what *fn* cost is kept.
        tolerance: By which share it may cost more.
        by: What to compare: ``"cpu"``, processor time, or ``"time"``.
        name: Under which to keep it in the file; by default that of *fn*.
        update: Store what *fn* costs now, and pass; by default if ``SUPERTESTER_UPDATE_BASELINES`` is set.
        rounds: How often to measure.

    Returns:
        The verdict. Where the file has nothing of this machine it is inconclusive: times of different machines are
        not compared.

    Raises:
        UsageError: An option makes no sense, or the file is no file of baselines.
        TypeError: *fn* cannot be called.

    >>> import asyncio
    >>> def old():
    ...     return sum(n * n for n in range(500))
    >>> def new():
    ...     return sum(n * n for n in range(5_000))
    >>> print(asyncio.run(probe_regression(new, old)).verdict)
    fail
    """
    check_callable(fn)
    if by not in ("cpu", "time"):
        raise UsageError(f"by must be 'cpu' or 'time', got by={by!r}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)):
        raise TypeError(f"tolerance must be a number, got tolerance={tolerance!r}")
    if not tolerance >= 0:
        raise UsageError(f"tolerance must be 0 or more, got tolerance={tolerance!r}")
    rounds = checked_rounds(rounds, _ROUNDS)
    limit = 1 + tolerance
    if callable(baseline):
        return await _against_another(fn, baseline, limit, by, rounds)
    path, name = Path(baseline), describe(fn) if name is None else name
    if wants_update() if update is None else update:
        return await _recorded(fn, path, name, rounds)
    return await _against_stored(fn, (path, name), limit, by, rounds)


async def _against_another(
    fn: Callable[[], Any], other: Callable[[], Any], limit: float, by: str, rounds: Rounds
) -> Judged:
    (before, _), (calls, result) = await count_calls(other), await count_calls(fn)
    if calls > limit * before:
        return _more_calls(calls, before, result)
    sampler = Sampler({_OWN: fn, _OTHER: other})
    found = await _settled(sampler, lambda: _ratio(sampler, by), limit, rounds, _FAILURES[by])
    return _judged(found, limit, by, sampler.rounds, result)


async def _recorded(fn: Callable[[], Any], path: Path, name: str, rounds: Rounds) -> Judged:
    calls, result = await count_calls(fn)
    sampler = Sampler({_OWN: fn, _OTHER: reference_work})
    deadline = time.monotonic() + rounds.seconds
    await sampler.warm_up(rounds.warmup)
    await sampler.take(min(4 * rounds.first, rounds.most), deadline, fewest=_FEWEST)
    save_baseline(path, name, Baseline(_ratio(sampler, "time"), _ratio(sampler, "cpu"), calls))
    return Judged(Verdict.PASS, (f"recorded a new baseline of {name!r} in {path}",), result)


async def _against_stored(
    fn: Callable[[], Any], where: tuple[Path, str], limit: float, by: str, rounds: Rounds
) -> Judged:
    path, name = where
    stored, machines = load_baseline(path, name)
    if stored is None:
        return Judged(Verdict.INCONCLUSIVE, (_missing(path, name, machines),))
    calls, result = await count_calls(fn)
    if calls > limit * stored.reductions:
        return _more_calls(calls, stored.reductions, result)
    sampler = Sampler({_OWN: fn, _OTHER: reference_work})
    old: Interval = getattr(stored, by)
    found = await _settled(sampler, lambda: _over(_ratio(sampler, by), old), limit, rounds, _FAILURES[by])
    return _judged(found, limit, by, sampler.rounds, result)


def _missing(path: Path, name: str, machines: list[str]) -> str:
    others = f"; it has those of {' and '.join(machines)}" if machines else ""
    remedy = f"record one with update=True or {UPDATE}=1"
    return f"{path} has no baseline of {name!r} for this machine ({fingerprint()}){others}; {remedy}"


def _more_calls(calls: int, before: int, result: Any) -> Judged:
    evidence = f"reductions is {calls}, it was {before}: {calls / max(before, 1):.3g} times as many"
    return Judged(Verdict.FAIL, (evidence,), result, {"reductions": calls, "baseline_reductions": before})


def _ratio(sampler: Sampler, by: str) -> Interval:
    return cautious(median_interval(ratios(sampler.samples[_OWN], sampler.samples[_OTHER], f"{by}_us")))


def _over(new: Interval, old: Interval) -> Interval:
    """Return how many times *old* the *new* is, at least and at most."""
    return replace(
        new,
        low=new.low / max(old.high, 1e-12),
        median=new.median / max(old.median, 1e-12),
        high=new.high / max(old.low, 1e-12),
    )


async def _settled(
    sampler: Sampler, ratio: Callable[[], Interval], limit: float, rounds: Rounds, failures: int
) -> tuple[Verdict, Interval]:
    """Measure until the *limit* lies outside of the interval of the *ratio*, or it is time to end."""
    deadline = time.monotonic() + rounds.seconds
    await sampler.warm_up(rounds.warmup)
    found, failed = Interval(0, 0, 0, 0, 0), 0
    for count in looks(rounds):
        await sampler.take(count, deadline, fewest=_FEWEST)
        found = ratio()
        verdict = judge(found, limit)
        failed = failed + 1 if verdict is Verdict.FAIL else 0
        if verdict is Verdict.PASS or failed == failures:
            return verdict, found
        if sampler.rounds < count:
            break
    return Verdict.INCONCLUSIVE, found


def _judged(settled: tuple[Verdict, Interval], limit: float, by: str, count: int, result: Any) -> Judged:
    verdict, found = settled
    says = {
        Verdict.PASS: f"within {limit:.4g} times",
        Verdict.FAIL: f"exceeded maximum of {limit:.4g} times",
        Verdict.INCONCLUSIVE: f"cannot be told from the maximum of {limit:.4g} times",
    }[verdict]
    evidence = (
        f"{by} is {found.median:.3g} times that of the baseline, between {found.low:.3g} and {found.high:.3g} "
        f"in {count} rounds, {says}"
    )
    return Judged(verdict, (evidence,), result, {f"{by}_ratio": found.to_dict()})
