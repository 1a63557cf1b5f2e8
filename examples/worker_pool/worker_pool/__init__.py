"""A pool of worker processes that answer over gRPC, keep sessions and come back when they die.

A worker imports this package, too, and has no use for the pool; so that is imported by who asks for something of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker_pool.errors import (
        CallTimeout,
        PoolClosed,
        PoolError,
        QueueTimeout,
        RestartIntensityExceeded,
        Saturated,
        SessionLost,
        SessionWorkerUnavailable,
        ToolError,
        WorkerLost,
        WorkerStartError,
    )
    from worker_pool.pool import Cleanup, Heartbeat, WorkerPool
    from worker_pool.scheduler import Affinity
    from worker_pool.stream import Stream
    from worker_pool.worker import Worker

__all__ = [
    "Affinity",
    "CallTimeout",
    "Cleanup",
    "Heartbeat",
    "PoolClosed",
    "PoolError",
    "QueueTimeout",
    "RestartIntensityExceeded",
    "Saturated",
    "SessionLost",
    "SessionWorkerUnavailable",
    "Stream",
    "ToolError",
    "Worker",
    "WorkerLost",
    "WorkerPool",
    "WorkerStartError",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in ("errors", "pool", "scheduler", "stream", "worker"):
            found = getattr(import_module(f"{__name__}.{home}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
