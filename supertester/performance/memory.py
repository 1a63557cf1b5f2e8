"""What an operation allocates and keeps.

Python notes where memory was allocated, not by which thread. So what other threads allocate meanwhile, and keep, counts
as well: where that matters, repeat (`probe_memory_leak`), for noise does not grow with the repetitions, or run the
operation in a process of its own.
"""

from __future__ import annotations

import gc
import inspect
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds
from supertester.telemetry.emission import spanned

__all__ = ["MemoryUsage", "check_memory_usage_stable", "measure_memory_usage", "traced"]


@dataclass(frozen=True)
class MemoryUsage:
    """How the memory of the program changed while an operation ran.

    ``before_bytes`` is what the whole program used; ``kept_bytes`` is what was allocated meanwhile and is still in use;
    ``sites`` are the lines that allocated most of it.
    """

    before_bytes: int
    kept_bytes: int
    sites: tuple[str, ...] = ()

    @property
    def change(self) -> float:
        """What was kept, as a share of what was used before."""
        return self.kept_bytes / self.before_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {**asdict(self), "sites": list(self.sites)}


@spanned("performance.measure_memory_usage", current=False, quiet=True)
async def measure_memory_usage(fn: Callable[[], Any | Awaitable[Any]]) -> MemoryUsage:
    """Run *fn*, plain or async, and return what it allocated and kept.

    Counts what Python's allocators gave out while *fn* ran and have not got back, in every thread. Memory from before
    that *fn* gives back is not counted against it.
    """
    import psutil

    if not callable(fn):
        raise TypeError(f"an operation must be callable, got {fn!r}; pass the function, not its result")
    with traced():
        gc.collect()
        before = tracemalloc.take_snapshot()
        start, _ = tracemalloc.get_traced_memory()
        result = fn()
        if inspect.isawaitable(result):
            await result
        del result
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - start
        changes = tracemalloc.take_snapshot().compare_to(before, "lineno")
    sites = tuple(
        f"{change.size_diff} bytes kept from {change.traceback}" for change in changes if change.size_diff > 0
    )
    return MemoryUsage(psutil.Process().memory_info().rss, kept, sites[:3])


class _Tracing:
    """How many want allocations to be noted, and whether they were before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = False


_tracing = _Tracing()


@contextmanager
def traced(frames: int = 1) -> Iterator[None]:
    """Let Python note its allocations in the body; bodies may overlap, also in several threads.

    The first of them decides how many *frames* of the stack are noted.
    """
    with _tracing.lock:
        if _tracing.users == 0:
            _tracing.before = tracemalloc.is_tracing()
            if not _tracing.before:
                tracemalloc.start(frames)
        _tracing.users += 1
    try:
        yield
    finally:
        with _tracing.lock:
            _tracing.users -= 1
            if _tracing.users == 0 and not _tracing.before:
                tracemalloc.stop()


async def check_memory_usage_stable(fn: Callable[[], Any], *, tolerance: float = 0.1) -> Mismatch | None:
    """Run *fn* and say that it kept more than a share of *tolerance* of the program's memory, or return ``None``.

    That the usage falls is no mismatch.
    """
    checked_seconds("tolerance", tolerance)
    usage = await measure_memory_usage(fn)
    if usage.change <= tolerance:
        return None
    message = (
        f"the memory in use grew by {usage.kept_bytes} bytes, {usage.change:.1%} of {usage.before_bytes}; "
        f"expected at most {tolerance:.1%}"
    )
    return Mismatch(message, usage.sites)
