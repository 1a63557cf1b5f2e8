"""`PoolCase`: tests with real pools, whose events they see, and of which nothing is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import psutil
from worker_pool import Worker, WorkerPool

from supertester import (
    ChaosMixin,
    HarnessMixin,
    IsolatedTestCase,
    OTPAssertions,
    PerformanceMixin,
    ServiceAssertions,
)
from supertester.targets import target_of
from tests.support.strange import strange

__all__ = ["POOL_SIZE", "PoolCase"]

POOL_SIZE = int(os.environ.get("SUPERTESTER_POOL_SIZE", "4"))
"""Workers of a pool where a test does not need a certain number of them."""


class PoolCase(
    ServiceAssertions, OTPAssertions, HarnessMixin, ChaosMixin, PerformanceMixin, IsolatedTestCase, timeout=120.0
):
    """A test whose pools are closed when it ends; what happens to their workers is its telemetry, `pool.<event>`."""

    def pool(self, size: int = POOL_SIZE, *, cls: Callable[..., Any] = WorkerPool, **options: Any) -> Any:
        """Return a pool that has not been started."""
        telemetry = self.telemetry

        def tell(name: str, details: dict[str, Any]) -> None:
            telemetry.emit(f"pool.{name}", metadata=details)

        pool = cls(size, **{"on_event": tell, **options})
        # In a thread, because the loop of the test may be what a worker is waiting for.
        self.addAsyncCleanup(asyncio.to_thread, pool.close)
        return pool

    async def started(self, size: int = POOL_SIZE, **options: Any) -> Any:
        """Return a pool that serves."""
        pool = self.pool(size, **options)
        await asyncio.to_thread(pool.start)
        return pool

    def worker(self, plant: str | None = None, **options: Any) -> Worker:
        """Return a worker process, which may not be ready, and is stopped when the test ends."""
        if plant is not None:
            options["command"] = strange(plant)
        worker = Worker("w", 1, run_id=self.id(), **options)
        self.addCleanup(worker.stop, 0.2)
        return worker

    def ready_worker(self, plant: str | None = None, **options: Any) -> Worker:
        worker = self.worker(plant, **options)
        worker.await_ready(20.0)
        return worker

    async def frozen(self, worker: Any) -> None:
        """Let a worker stand still, and return when all of its threads do."""
        await target_of(psutil.Process(worker.pid)).suspend()

    async def replaced(self, pool: Any, old: Any, timeout: float = 20.0) -> Any:
        """Wait until the worker that follows *old* serves, and return it."""
        new = {"id": old.id, "generation": old.generation + 1}
        await self.assert_telemetry("pool.worker_ready", new, timeout=timeout)
        [worker] = [each for each in pool.workers() if each.id == old.id]
        return worker

    def status_of(self, worker: Any) -> Any:
        """Return how a worker ended, as the pool has told."""
        [event] = [
            event
            for event in self.telemetry.events
            if event.name == "pool.worker_down"
            and (event.metadata["id"], event.metadata["generation"]) == (worker.id, worker.generation)
        ]
        return event.metadata["status"]
