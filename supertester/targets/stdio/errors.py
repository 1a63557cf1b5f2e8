"""What can go wrong between a client and a program that it talks to over pipes."""

from __future__ import annotations

from typing import Any

__all__ = ["PortClosed", "PortError", "PortTimeout", "ProtocolViolation", "RemoteError"]


class PortError(Exception):
    """A call through a port has failed; the subclasses say how."""


class PortTimeout(PortError):
    """No answer came in time. One that comes later is dropped, and counted."""


class PortClosed(PortError):
    """The other side is gone; the message says how the program ended, if that is known."""


class ProtocolViolation(PortError):
    """What came is not what was agreed on: a frame that is too long, no JSON, or an answer to nothing."""


class RemoteError(PortError):
    """The other side answered with an error; the connection is as good as before.

    ``error`` is what it sent, whatever that is.

    >>> RemoteError("divide", {"kind": "arithmetic"}).error
    {'kind': 'arithmetic'}
    """

    def __init__(self, command: str, error: Any) -> None:
        super().__init__(f"command {command!r} failed: {error!r}")
        self.command = command
        self.error = error
