"""How calls fail: each way has a type of its own, so that nobody has to read messages."""

from __future__ import annotations

__all__ = [
    "PoolClosed",
    "PoolError",
    "PoolSaturated",
    "PoolTimeout",
    "PortClosed",
    "PortError",
    "PortTimeout",
    "ProtocolViolation",
    "RemoteError",
    "RestartIntensityExceeded",
    "SessionLost",
    "SessionMismatch",
    "SessionNotFound",
    "SessionPoolError",
    "WorkerInitFailed",
]


class SessionPoolError(Exception):
    """The base of all of them."""


class PortError(SessionPoolError):
    """Something is wrong with one worker process."""


class PortClosed(PortError):
    """The process has ended; ``status`` is its exit status, negative for a signal, or ``None`` if it is not ours."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class PortTimeout(PortError):
    """It has not answered in time, so what it has done is unknown."""


class ProtocolViolation(PortError):
    """It has sent what is no answer."""


class WorkerInitFailed(PortError):
    """It cannot be started, or does not answer its first ping."""


class RemoteError(SessionPoolError):
    """The command has failed in the worker, which is well."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class PoolError(SessionPoolError):
    """The pool does not do what it was asked to; no worker has seen the request."""


class PoolTimeout(PoolError):
    """No worker was free in time."""


class PoolSaturated(PoolError):
    """Too many are waiting already."""


class PoolClosed(PoolError):
    """The pool is closed."""


class RestartIntensityExceeded(PoolClosed):
    """Too many workers have died in a short time, so the pool has given up."""


class SessionMismatch(PoolError):
    """The worker is busy with another session."""


class SessionNotFound(PoolError):
    """There is no such session."""


class SessionLost(PoolError):
    """The worker that the session lived on has died; the next call begins a new session."""
