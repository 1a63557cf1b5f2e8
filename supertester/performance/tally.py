"""`Tally`: what a run of an operation cost, counted in such a way that to count costs no memory.

Whatever the measuring itself allocates between the two readings of memory, and keeps, would be counted too: a number,
a dictionary that grows, a coroutine. So all of it is there before the first reading, numbers lie in an array, and a
rehearsal fills what Python and its event loop keep of code that has run.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from array import array
from collections.abc import Callable
from typing import Any, Final

from supertester.performance.attribution import CpuClock
from supertester.performance.reductions import Counter

__all__ = ["Tally"]

_BEFORE, _AFTER, _PEAK, _BEGAN, _WALL, _CPU, _CALLS = range(7)
_EMPTY: Final = (0,) * 7


class Tally:
    """Counts one run. To be used while allocations are noted and *counter* counts.

    Args:
        counter: Counts the calls.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._clock = CpuClock()
        self._numbers = array("q", _EMPTY)

    async def run(self, fn: Callable[[], Any]) -> Any:
        """Run *fn*, plain or async, and return its result."""
        # Even who listens to the collector, as Hypothesis does, keeps only what was noted from now on.
        await self._run(self._rehearse, gc.collect)
        return await self._run(fn, gc.collect)

    async def _rehearse(self) -> None:
        """Go through what runs when a function is counted, and when an operation waits."""
        self._counter.called(_nothing.__code__)
        await asyncio.sleep(0)

    async def _run(self, fn: Callable[[], Any], settle: Callable[[], object]) -> Any:
        numbers, counter, clock = self._numbers, self._counter, self._clock
        settle()
        # At once: whatever runs in Python leaves memory behind that it will use again, and the collector gives back.
        numbers[_BEFORE] = tracemalloc.get_traced_memory()[0]
        clock.restart()
        tracemalloc.reset_peak()
        numbers[_BEGAN] = time.perf_counter_ns()
        counter.active = True
        try:
            result = fn()
            if hasattr(result, "__await__"):  # Not by a function, which would count.
                result = await result
        finally:
            counter.active = False
        numbers[_WALL] = time.perf_counter_ns() - numbers[_BEGAN]
        numbers[_CPU] = clock.elapsed_ns()
        numbers[_PEAK] = tracemalloc.get_traced_memory()[1]
        numbers[_CALLS] = counter.take()
        settle()
        numbers[_AFTER] = tracemalloc.get_traced_memory()[0]
        return result

    @property
    def kept_bytes(self) -> int:
        """What was allocated and is still in use."""
        return max(self._numbers[_AFTER] - self._numbers[_BEFORE], 0)

    @property
    def peak_bytes(self) -> int:
        """What was in use at most, beyond what was before."""
        return max(self._numbers[_PEAK] - self._numbers[_BEFORE], 0)

    @property
    def wall_ns(self) -> int:
        """The time that passed."""
        return self._numbers[_WALL]

    @property
    def cpu_ns(self) -> int:
        """The processor time that the test used."""
        return self._numbers[_CPU]

    @property
    def calls(self) -> int:
        """How many functions were called."""
        return self._numbers[_CALLS]


def _nothing() -> None: ...
