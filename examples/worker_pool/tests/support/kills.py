"""`Kills`: kills that come with the operations of a load, one after every so many, and not by the clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from worker_pool import WorkerPool

from supertester.chaos import kill_random_worker

__all__ = ["Kills"]


class Kills:
    """Give `count` to each operation, and `chaos` to the load.

    Attributes:
        delivered: Who was killed, and how many sessions it had.
    """

    def __init__(
        self, pool: WorkerPool, every: int, number: int, *, kill: Callable[..., Any] = kill_random_worker
    ) -> None:
        self.delivered: list[tuple[Any, int]] = []
        self._pool = pool
        self._every = every
        self._number = number
        self._kill = kill
        self._operations = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._due = asyncio.Semaphore(0)

    def count(self) -> None:
        """Take note of an operation, in any thread."""
        if next(self._operations) % self._every == 0:
            self._loop.call_soon_threadsafe(self._due.release)

    async def chaos(self, mark: Callable[[str, str], object]) -> None:
        """Kill a worker whenever it is time, and put that and the recovery into the timeline."""
        for _ in range(self._number):
            await self._due.acquire()
            workers = {worker.pid: worker for worker in self._pool.workers()}
            pins = list(self._pool.sessions().values())
            injection = await self._kill(self._pool)
            if injection is None or not injection.died:
                continue
            victim = workers[injection.target.pid]
            self.delivered.append((victim, pins.count(victim.id)))
            mark(f"{victim.id} is killed", "fault")
            if await asyncio.to_thread(self._pool.await_size, self._pool.size, 20.0):
                mark(f"{victim.id} is back", "recovery")
