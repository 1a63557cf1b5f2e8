"""What one operation costs: time, CPU time, memory, and function calls."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.performance.memory import traced
from supertester.performance.reductions import counting

__all__ = ["Measurement", "check_expectations", "measure_operation"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an operation cost.

    Attributes:
        time_us: Microseconds that passed.
        cpu_us: Microseconds that this thread computed.
        memory_bytes: What was allocated and is still in use.
        peak_memory_bytes: What was in use at most, beyond what was in use before.
        reductions: Python functions that were called, those of the library and of asyncio aside.
        result: What the operation returned.
    """

    time_us: float
    cpu_us: float
    memory_bytes: int
    peak_memory_bytes: int
    reductions: int
    result: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {**vars(self), "result": shown(self.result)}


async def measure_operation(fn: Callable[[], Any]) -> Measurement:
    """Run *fn*, plain or async, once and return what it cost.

    Memory and calls are counted in all threads, which makes the operation slower; so the time is that of a run with the
    counting on.

    Raises:
        TypeError: *fn* cannot be called.

    >>> import asyncio
    >>> def twice(n):
    ...     return 2 * n
    >>> asyncio.run(measure_operation(lambda: [twice(n) for n in range(5)])).result
    [0, 2, 4, 6, 8]
    """
    if not callable(fn):
        raise TypeError(f"an operation must be callable, got {fn!r}; pass the function, not its result")
    with traced():
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        with counting() as counter:
            counter.active = True
            cpu, began = time.thread_time_ns(), time.perf_counter_ns()
            result = fn()
            if hasattr(result, "__await__"):  # Not by a function, which would count.
                result = await result
            ended, cpu_ended = time.perf_counter_ns(), time.thread_time_ns()
            counter.active = False
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    return Measurement(
        time_us=(ended - began) / 1000,
        cpu_us=(cpu_ended - cpu) / 1000,
        memory_bytes=max(after - before, 0),
        peak_memory_bytes=max(peak - before, 0),
        reductions=counter.calls,
        result=result,
    )


_BOUNDS: Final = {
    "max_time_ms": ("time_us", 1000),
    "max_cpu_ms": ("cpu_us", 1000),
    "max_memory_bytes": ("memory_bytes", 1),
    "max_reductions": ("reductions", 1),
}


def check_expectations(measurement: Measurement, **expectations: float) -> Mismatch | None:
    """Say which bounds *measurement* exceeds, or return ``None``.

    Args:
        measurement: What `measure_operation` returned.
        expectations: One or more of ``max_time_ms``, ``max_cpu_ms``, ``max_memory_bytes``, ``max_reductions``.

    Raises:
        UsageError: There is none, or one is negative.
        TypeError: One is unknown, or no number.
    """
    if not expectations:
        raise UsageError(f"there is nothing to check; give one of {', '.join(_BOUNDS)}")
    exceeded = []
    for name, bound in expectations.items():
        if name not in _BOUNDS:
            raise TypeError(f"unknown bound {name!r}; the known ones are {', '.join(_BOUNDS)}")
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise TypeError(f"{name} must be a number, got {name}={bound!r}")
        if not bound >= 0:
            raise UsageError(f"{name} must be 0 or more, got {name}={bound!r}")
        attribute, unit = _BOUNDS[name]
        actual = getattr(measurement, attribute) / unit
        if actual > bound:
            exceeded.append(f"{name.removeprefix('max_')} is {actual:g}, exceeded maximum of {bound:g}")
    return Mismatch("; ".join(exceeded)) if exceeded else None
