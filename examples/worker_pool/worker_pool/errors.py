"""What can go wrong, each by a name of its own."""

from __future__ import annotations


class PoolError(Exception):
    """The pool did not do what it was asked for."""


class WorkerStartError(PoolError):
    """A worker ended, or said nothing, before it was ready."""


class WorkerLost(PoolError):
    """The worker, or the way to it, was lost during the call; nobody knows how far the call came."""


class CallTimeout(PoolError):
    """The deadline came before the answer."""


class ToolError(PoolError):
    """The worker refused the call, or the tool failed; the worker is fine."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class QueueTimeout(PoolError):
    """No worker was free in time; the call was not executed and never will be."""


class Saturated(PoolError):
    """As many calls wait as may; this one was not executed."""


class SessionWorkerUnavailable(PoolError):
    """The worker of the session is busy, and the call was not to wait for it; it was not executed."""


class SessionLost(PoolError):
    """The worker that had the session is gone, and the session with it. Told once; the next call begins a new one."""


class PoolClosed(PoolError):
    """The pool is closed, or is being closed."""


class RestartIntensityExceeded(PoolError):
    """Workers died too often in too short a time, so the pool gave up."""
