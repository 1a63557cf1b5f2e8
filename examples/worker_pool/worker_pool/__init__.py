"""A pool of worker processes that answer over gRPC, keep sessions and come back when they die."""

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
