"""What another process, e.g. the server under load, uses while a load runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from supertester.errors import UsageError
from supertester.performance.process_usage import ProcessWatch

__all__ = ["ProcessLoad", "ProcessSampler"]

_EVERY: Final = 0.25
"""Seconds between two looks: each takes some milliseconds of a processor that the load could use."""
_MB: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ProcessLoad:
    """What a process, with all that it has started, used under load.

    Attributes:
        cpu: Processors that it used, on average.
        memory_bytes: Its memory at most (USS), as far as was seen.
        memory_growth_bytes: By how much it had more in the end than before.
        descriptor_growth: By how many open files and sockets.
        thread_growth: By how many threads.
        samples: How often it was looked at.
        ended: Whether it had ended before the load did; then the numbers are those until then.
    """

    cpu: float
    memory_bytes: int
    memory_growth_bytes: int
    descriptor_growth: int
    thread_growth: int
    samples: int
    ended: bool = False

    @classmethod
    def merged(cls, loads: Sequence[ProcessLoad]) -> ProcessLoad | None:
        """Return one of what several processes used at the same time: of each number the greatest."""
        if not loads:
            return None
        names = ("cpu", "memory_bytes", "memory_growth_bytes", "descriptor_growth", "thread_growth", "samples", "ended")
        return cls(**{name: max(getattr(load, name) for load in loads) for name in names})

    def __str__(self) -> str:
        ended = ", ended before the load did" if self.ended else ""
        return (
            f"process: {self.cpu:.3g} processors, {self.memory_bytes / _MB:.1f} MB at most, "
            f"{self.memory_growth_bytes / _MB:+.1f} MB, {self.descriptor_growth:+d} descriptors, "
            f"{self.thread_growth:+d} threads{ended}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return asdict(self)


class ProcessSampler:
    """Looks at a process now and then, in a thread, so that the load is not kept waiting.

    Raises:
        UsageError: It has ended.
    """

    def __init__(self, process: Any) -> None:
        self._watch = ProcessWatch(process)
        self._before = self._last = self._watch.usage()
        self._most = self._before.memory_bytes
        self._began = self._at = time.perf_counter()
        self._count = 1
        self._ended = False

    def _look(self) -> None:
        try:
            self._last = self._watch.usage()
        except UsageError:
            self._ended = True
            return
        self._at = time.perf_counter()
        self._most = max(self._most, self._last.memory_bytes)
        self._count += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look at it while the body runs."""
        self._began = time.perf_counter()
        looking = asyncio.ensure_future(self._look_again_and_again())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await asyncio.to_thread(self._look)

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await asyncio.to_thread(self._look)

    def load(self) -> ProcessLoad:
        """Return what was seen."""
        before, after = self._before, self._last
        return ProcessLoad(
            cpu=max(after.cpu_us - before.cpu_us, 0.0) / 1e6 / max(self._at - self._began, 1e-3),
            memory_bytes=self._most,
            memory_growth_bytes=after.memory_bytes - before.memory_bytes,
            descriptor_growth=after.descriptors - before.descriptors,
            thread_growth=after.threads - before.threads,
            samples=self._count,
            ended=self._ended,
        )
