"""What one operation costs: time, CPU time, memory, and function calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.performance.attribution import CpuClock
from supertester.performance.memory import traced
from supertester.performance.process_usage import ProcessCost, ProcessWatch
from supertester.performance.reductions import Counter, counting, prepare
from supertester.performance.tally import Tally
from supertester.telemetry.emission import spanned

__all__ = [
    "PROCESS_BOUNDS",
    "Measurement",
    "Times",
    "check_bounds",
    "check_callable",
    "check_expectations",
    "count_calls",
    "measure_operation",
    "timed",
    "value_of",
]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an operation cost.

    Attributes:
        time_us: Microseconds that passed.
        cpu_us: Microseconds of processor time that the test used, in all its threads.
        memory_bytes: What was allocated and is still in use.
        peak_memory_bytes: What was in use at most, beyond what was in use before.
        reductions: Python functions that were called, those of the library and of asyncio aside.
        result: What the operation returned.
        process: What it cost another process, if one was named.
    """

    time_us: float
    cpu_us: float
    memory_bytes: int
    peak_memory_bytes: int
    reductions: int
    result: Any
    process: ProcessCost | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        process = {} if self.process is None else {"process": self.process.to_dict()}
        return {**vars(self), "result": shown(self.result), **process}


@spanned("performance.measure_operation", current=False, quiet=True)
async def measure_operation(fn: Callable[[], Any], *, once: bool = False, process: Any = None) -> Measurement:
    """Run *fn*, plain or async, and return what it cost.

    To count calls and memory makes an operation slower. So *fn* runs twice: first as it is, for the times, then for
    the counts. That the first run also fills caches and imports modules makes the counts repeatable. What counting
    itself allocates is not counted; but before Python 3.12 some bytes are, of each function that is counted for the
    first time.

    Calls and processor time are those of the present test, in all its tasks and threads. Memory is that of all of
    Python: see `supertester.performance.memory`.

    Args:
        fn: The operation.
        once: Run *fn* a single time, because it cannot be repeated. The times then include the cost of counting.
        process: A process of the operating system, whose memory, processor time, descriptors and threads are measured
            too, with all that it has started, in the run that is counted; see `process_usage`.

    Raises:
        TypeError: *fn* cannot be called, or *process* is none.
        UsageError: The process has ended.

    >>> import asyncio
    >>> def twice(n):
    ...     return 2 * n
    >>> asyncio.run(measure_operation(lambda: [twice(n) for n in range(5)])).result
    [0, 2, 4, 6, 8]
    """
    check_callable(fn)
    watch = None if process is None else ProcessWatch(process)
    if once:
        return await _counted(fn, watch)
    prepare()
    times = await timed(fn)
    try:
        counted = await _counted(fn, watch)
    except Exception as error:
        error.add_note("raised when the operation ran a second time, to be counted; once=True runs it only once")
        raise
    return replace(counted, time_us=times.wall_ns / 1000, cpu_us=times.cpu_ns / 1000)


def check_callable(fn: Any) -> None:
    """Refuse what is no operation."""
    if not callable(fn):
        raise TypeError(f"an operation must be callable, got {fn!r}; pass the function, not its result")


@dataclass(frozen=True)
class Times:
    """How long one run took, and what it returned."""

    wall_ns: int
    cpu_ns: int
    result: Any


async def timed(fn: Callable[[], Any], clock: CpuClock | None = None) -> Times:
    """Run *fn* as it is, and return how long it took; *clock* spares making one."""
    clock = CpuClock() if clock is None else clock
    clock.restart()
    began = time.perf_counter_ns()
    result = fn()
    if hasattr(result, "__await__"):
        result = await result
    ended = time.perf_counter_ns()
    return Times(ended - began, clock.elapsed_ns(), result)


async def count_calls(fn: Callable[[], Any]) -> tuple[int, Any]:
    """Run *fn*; return how many functions it called, and its result."""
    with counting() as counter:
        result = await _active(fn, counter)
    return counter.calls, result


async def _active(fn: Callable[[], Any], counter: Counter) -> Any:
    counter.active = True
    try:
        result = fn()
        if hasattr(result, "__await__"):  # Not by a function, which would count.
            result = await result
        return result
    finally:
        counter.active = False


async def _counted(fn: Callable[[], Any], watch: ProcessWatch | None) -> Measurement:
    before_elsewhere = None if watch is None else watch.usage()
    with traced(), counting() as counter:
        tally = Tally(counter)
        result = await tally.run(fn)
    elsewhere = None
    if watch is not None and before_elsewhere is not None:
        elsewhere = ProcessCost.between(before_elsewhere, watch.usage())
    return Measurement(
        time_us=tally.wall_ns / 1000,
        cpu_us=tally.cpu_ns / 1000,
        memory_bytes=tally.kept_bytes,
        peak_memory_bytes=tally.peak_bytes,
        reductions=tally.calls,
        result=result,
        process=elsewhere,
    )


PROCESS_BOUNDS: Final = {
    "max_process_cpu_ms": ("process.cpu_us", 1000),
    "max_process_memory_bytes": ("process.memory_bytes", 1),
    "max_process_descriptors": ("process.descriptors", 1),
    "max_process_threads": ("process.threads", 1),
}
"""What may be asked of another process: by how much it may grow."""
_BOUNDS: Final = {
    "max_time_ms": ("time_us", 1000),
    "max_cpu_ms": ("cpu_us", 1000),
    "max_memory_bytes": ("memory_bytes", 1),
    "max_reductions": ("reductions", 1),
    **PROCESS_BOUNDS,
}


def check_expectations(measurement: Measurement, **expectations: float) -> Mismatch | None:
    """Say which bounds *measurement* exceeds, or return ``None``.

    Args:
        measurement: What `measure_operation` returned.
        expectations: One or more of ``max_time_ms``, ``max_cpu_ms``, ``max_memory_bytes``, ``max_reductions``; of
            another process ``max_process_cpu_ms``, and by how much it may have grown:
            ``max_process_memory_bytes``, ``max_process_descriptors``, ``max_process_threads``.

    Raises:
        UsageError: There is none, or one is negative, or of a process although none was measured.
        TypeError: One is unknown, or no number.
    """
    check_bounds(expectations)
    exceeded = []
    for name, bound in expectations.items():
        actual = value_of(measurement, name)
        if actual > bound:
            exceeded.append(f"{name.removeprefix('max_')} is {actual:g}, exceeded maximum of {bound:g}")
    return Mismatch("; ".join(exceeded)) if exceeded else None


def value_of(measurement: Measurement, bound: str) -> float:
    """Return what the *bound* is for."""
    attribute, unit = _BOUNDS[bound]
    if bound in PROCESS_BOUNDS and measurement.process is None:
        raise UsageError(f"{bound} is of a process, and none was measured; say which by process=")
    value: float = attrgetter(attribute)(measurement)
    return value if unit == 1 else value / unit


def check_bounds(expectations: Mapping[str, float]) -> None:
    """Refuse what are no bounds."""
    if not expectations:
        raise UsageError(f"there is nothing to check; give one of {', '.join(_BOUNDS)}")
    for name, bound in expectations.items():
        if name not in _BOUNDS:
            raise TypeError(f"unknown bound {name!r}; the known ones are {', '.join(_BOUNDS)}")
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise TypeError(f"{name} must be a number, got {name}={bound!r}")
        if not bound >= 0:
            raise UsageError(f"{name} must be 0 or more, got {name}={bound!r}")
