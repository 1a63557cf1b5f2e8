"""How a program says that it is ready, so that nobody has to guess how long that takes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from supertester.errors import UsageError

if TYPE_CHECKING:
    from supertester.targets.external import ExternalProcess

__all__ = ["FdReady", "GrpcReady", "HttpReady", "LineReady", "PortReady", "Readiness"]

_LOOK = 1.0
"""Seconds that one look at a port may take."""


@runtime_checkable
class Readiness(Protocol):
    """A way to be ready; one of your own needs no more than this."""

    async def look(self, process: ExternalProcess, /) -> Any:
        """Return something true once *process* is ready."""
        ...


@dataclass(frozen=True)
class PortReady:
    """It accepts connections. A server that hangs does so too: prefer what answers.

    >>> PortReady(8080)
    PortReady(port=8080, host='127.0.0.1')
    """

    port: int
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        _check_port(self.port)

    async def look(self, process: ExternalProcess, /) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        return True


@dataclass(frozen=True)
class LineReady:
    """It writes a line, to its output or its errors, in which the regular expression *pattern* is found."""

    pattern: str

    def __post_init__(self) -> None:
        re.compile(self.pattern)

    async def look(self, process: ExternalProcess, /) -> bool:
        return re.search(self.pattern, process.lines, re.MULTILINE) is not None


@dataclass(frozen=True)
class FdReady:
    """It writes a byte to the descriptor whose number is in the environment variable *variable*."""

    variable: str = "SUPERTESTER_READY_FD"

    async def look(self, process: ExternalProcess, /) -> bool:
        return process.told_ready()


@dataclass(frozen=True)
class HttpReady:
    """It answers a request for *path* with the status *status*."""

    port: int
    path: str = "/"
    status: int = 200
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        _check_port(self.port)
        if not self.path.startswith("/"):
            raise UsageError(f"path must begin with '/', got path={self.path!r}")

    async def look(self, process: ExternalProcess, /) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        try:
            writer.write(f"GET {self.path} HTTP/1.0\r\nHost: {self.host}:{self.port}\r\n\r\n".encode())
            words = (await reader.readline()).split()
            return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1] == str(self.status).encode()
        except (OSError, ValueError):  # ValueError: no line that short.
            return False
        finally:
            writer.close()


@dataclass(frozen=True)
class GrpcReady:
    """Its health service says that *service* is being served; the extra ``grpc`` brings what is needed."""

    port: int
    service: str = ""
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        _check_port(self.port)

    async def look(self, process: ExternalProcess, /) -> bool:
        from supertester.targets.grpc.health import probe_grpc_health

        found = await probe_grpc_health((self.host, self.port), service=self.service, timeout=_LOOK)
        return found.is_ready


def _check_port(port: Any) -> None:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be a whole number, got port={port!r}")
    if not 0 < port < 1 << 16:
        raise UsageError(f"port must be from 1 to 65535, got port={port!r}")
