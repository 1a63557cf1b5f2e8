"""How a program says that it is ready, so that nobody has to guess how long that takes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from supertester.errors import UsageError

if TYPE_CHECKING:
    from supertester.targets.external import ExternalProcess

__all__ = ["Answer", "FdReady", "GrpcReady", "HttpReady", "LineReady", "PortReady", "Readiness"]

_LOOK = 1.0
"""Seconds that one look at a port may take."""


@runtime_checkable
class Readiness(Protocol):
    """A way to be ready; one of your own needs no more than this."""

    async def look(self, process: ExternalProcess, /) -> Any:
        """Return something true once *process* is ready; until then what to show if it never is, or ``False``."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a look at a server found; it is false until the server is ready.

    Attributes:
        text: What to tell of it.
        is_ready: Whether the server is.
        is_heard: Whether somebody was asked, who may write a line for each time.
    """

    text: str
    is_ready: bool = False
    is_heard: bool = True

    def __bool__(self) -> bool:
        return self.is_ready

    def __str__(self) -> str:
        return self.text


def _unreachable(host: str, port: int, error: OSError) -> Answer:
    return Answer(f"nobody listens at {host}:{port} ({error})", is_heard=False)


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

    async def look(self, process: ExternalProcess, /) -> Answer:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            return _unreachable(self.host, self.port, error)
        writer.close()
        return Answer("it accepts connections", is_ready=True)


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

    async def look(self, process: ExternalProcess, /) -> Answer:
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            return _unreachable(self.host, self.port, error)
        try:
            writer.write(f"GET {self.path} HTTP/1.0\r\nHost: {self.host}:{self.port}\r\n\r\n".encode())
            return self._answer(await reader.readline())
        except OSError as error:
            return Answer(f"it broke the connection off: {error}")
        except ValueError:
            return Answer("it answered with a line that is too long for HTTP")
        finally:
            writer.close()

    def _answer(self, line: bytes) -> Answer:
        protocol, *words = line.decode("latin-1").split() or [""]
        if not protocol.startswith("HTTP/") or not words:
            return Answer(
                f"it answered {line[:80]!r}, which is no HTTP" if line else "it closed the connection unanswered"
            )
        is_ready = words[0] == str(self.status)
        return Answer(f"it answered HTTP {' '.join(words)[:80]}, and {self.status} is wanted", is_ready=is_ready)


@dataclass(frozen=True)
class GrpcReady:
    """Its health service says that *service* is being served; the extra ``grpc`` brings what is needed."""

    port: int
    service: str = ""
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        _check_port(self.port)

    async def look(self, process: ExternalProcess, /) -> Answer:
        from supertester.targets.grpc.health import probe_grpc_health

        found = await probe_grpc_health((self.host, self.port), service=self.service, timeout=_LOOK)
        return Answer(str(found), is_ready=found.is_ready, is_heard=found.code != "UNAVAILABLE")


def _check_port(port: Any) -> None:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be a whole number, got port={port!r}")
    if not 0 < port < 1 << 16:
        raise UsageError(f"port must be from 1 to 65535, got port={port!r}")
