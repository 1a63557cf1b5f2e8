"""`check_parallel`: whether many calls at once take no longer than one, or wait for each other somewhere."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, Final

from supertester._core.counts import checked_count
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.scenarios.concurrently import run_concurrently
from supertester.scenarios.in_threads import run_in_threads

__all__ = ["check_parallel"]

_SHOWN: Final = 10


async def check_parallel(
    fn: Callable[..., Any],
    n: int = 4,
    *,
    unit_ms: float | None = None,
    max_ratio: float = 1.5,
    rounds: int = 3,
    timeout: float = 30.0,
) -> Mismatch | None:
    """Say whether *n* calls of *fn* at once take longer than they should, or return ``None``.

    Where all of them wait for one lock, *n* calls take *n* times as long as one. Since a busy machine can make any call
    slow, but none fast, the best of several rounds counts; a round that is fast enough is the last.

    Args:
        fn: Plain, and then called in threads, or async; given the number of the call, from 0, if it takes an argument.
            Best is something that takes its time without using the processor: a request that waits.
        n: How many calls are made at once; no more than the system under test can do.
        unit_ms: Milliseconds that one call takes; ``None``: that is measured first, by the fastest of *rounds* calls.
        max_ratio: By how much *n* calls may take longer than one; less than *n*.
        rounds: How often it is tried.
        timeout: Seconds for each round.

    Raises:
        UsageError: *n* is less than 2, or *max_ratio* is not between 1 and *n*, so that nothing would be proved.
        WaitTimeout: The calls do not end in time.

    Example::

        mismatch = await check_parallel(lambda: pool.execute("sleep", ms=200), 4)
    """
    checked_count("n", n, 2)
    checked_count("rounds", rounds)
    if not 1 <= max_ratio < n:
        raise UsageError(f"max_ratio must be 1 or more and less than n={n!r}, got max_ratio={max_ratio!r}")
    if unit_ms is not None and not unit_ms > 0:
        raise UsageError(f"unit_ms must be more than 0 milliseconds, got unit_ms={unit_ms!r}")
    try:
        unit = unit_ms or min([await _timed(fn, 1, timeout) for _ in range(rounds)])
        seen: list[float] = []
        while len(seen) < rounds:
            seen.append(await _timed(fn, n, timeout))
            if seen[-1] <= unit * max_ratio:
                return None
    except _CallsFailed as failed:
        return failed.mismatch
    best = min(seen)
    return Mismatch(
        f"{n} calls at once took {best:.1f} ms, {best / unit:.1f} times as long as one ({unit:.1f} ms), expected "
        f"{max_ratio:g} times at the most: they wait for each other",
        [f"round {number}: {ms:.1f} ms" for number, ms in enumerate(seen, 1)],
    )


class _CallsFailed(Exception):
    """Some calls failed; they are soon over, so they prove nothing."""

    def __init__(self, errors: list[Any]) -> None:
        self.mismatch = Mismatch(f"{len(errors)} calls failed, so nothing is proved", errors[:_SHOWN])


async def _timed(fn: Callable[..., Any], n: int, timeout: float) -> float:
    """Return the milliseconds that *n* calls at once take."""
    run = run_concurrently if inspect.iscoroutinefunction(fn) else run_in_threads
    began = time.perf_counter()
    outcomes = await run(n, fn, timeout=timeout)
    took = time.perf_counter() - began
    if errors := [outcome.error for outcome in outcomes if not outcome.ok]:
        raise _CallsFailed([repr(error) for error in errors])
    return took * 1000
