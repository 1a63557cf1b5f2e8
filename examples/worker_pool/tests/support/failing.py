"""Workers whose calls fail when it is their turn: they exit, say nothing, or hang up."""

from __future__ import annotations

from typing import Any

from worker_pool import Worker

__all__ = ["FailingWorker"]


class FailingWorker(Worker):
    """A worker for the `start` of a pool.

    Attributes:
        failures: What `inject_random_failures` returned; until then no call fails.
    """

    failures: Any = None

    def call(self, body: bytes, timeout: float) -> Any:
        if self.failures is None:
            return super().call(body, timeout)
        with self.failures.attempt(self):
            return super().call(body, timeout)
