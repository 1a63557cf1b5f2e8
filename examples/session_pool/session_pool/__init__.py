"""A pool of worker processes that keep sessions: JSON over their standard input and output."""

from session_pool.adapter import ProgramAdapter, PythonPool
from session_pool.errors import (
    PoolClosed,
    PoolError,
    PoolSaturated,
    PoolTimeout,
    PortClosed,
    PortError,
    PortTimeout,
    ProtocolViolation,
    RemoteError,
    RestartIntensityExceeded,
    SessionLost,
    SessionMismatch,
    SessionNotFound,
    SessionPoolError,
    WorkerInitFailed,
)
from session_pool.pool import SessionPool
from session_pool.port import PythonPort
from session_pool.worker import PoolWorker

__all__ = [
    "PoolClosed",
    "PoolError",
    "PoolSaturated",
    "PoolTimeout",
    "PoolWorker",
    "PortClosed",
    "PortError",
    "PortTimeout",
    "ProgramAdapter",
    "ProtocolViolation",
    "PythonPool",
    "PythonPort",
    "RemoteError",
    "RestartIntensityExceeded",
    "SessionLost",
    "SessionMismatch",
    "SessionNotFound",
    "SessionPool",
    "SessionPoolError",
    "WorkerInitFailed",
]
