"""Choosing at random, reproducibly, which runnable process goes on (rule 36)."""

from __future__ import annotations

import random
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supertester.otp.process import Process
    from supertester.otp.runtime import Runtime

__all__ = ["SeededScheduler"]


class SeededScheduler:
    """One message at a time, from a process drawn among those that have one; the same seed draws the same way.

    It finds orders that a fair queue never shows. It is no exploration: nothing is recorded, shrunk or complete.
    """

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self._runtime = runtime
        self._random = random.Random(seed)  # Reproducible on purpose.
        self._ready: list[Process] = []

    def ready(self, process: Process) -> None:
        """Put *process* among those to draw from."""
        if get_ident() != self._runtime.thread:
            self._runtime.loop.call_soon_threadsafe(self.ready, process)
            return
        if not self._ready:
            self._runtime.loop.call_soon(self._turn)
        self._ready.append(process)
        self._runtime.now_busy(process)

    def _turn(self) -> None:
        ready = self._ready
        chosen = self._random.randrange(len(ready))
        ready[chosen], ready[-1] = ready[-1], ready[chosen]
        process = ready.pop()
        if ready:
            self._runtime.loop.call_soon(self._turn)
        if process.exit_reason is None:
            self._runtime.resume(process)
