"""A connection through the proxy: two links, each of which carries bytes in one direction."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from supertester.chaos.network.toxics import Toxic

__all__ = ["DIRECTIONS", "Connection", "Link", "Piece", "Send", "reset"]

DIRECTIONS: Final = ("upstream", "downstream")
"""From the client to the server, and from the server to the client."""
_CHUNK: Final = 1 << 16
_CHUNKS: Final = 16
"""How many may be under way in a link; then nothing more is read, and whoever sends has to wait."""
_GRACE: Final = 0.2
"""Seconds that a server may take to end a connection which the proxy has ended."""
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends a reset instead of what is left."""


@dataclass(frozen=True)
class Piece:
    """Bytes on their way, and when they arrived, on the loop's clock."""

    data: bytes
    arrived: float


Send = Callable[[Piece], Awaitable[None]]


class Link:
    """One direction of a connection. What is read passes all toxics, oldest first, and is written."""

    def __init__(
        self, connection: Connection, direction: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        self.connection = connection
        self.direction = direction
        self.carried = 0
        """Bytes that have been written."""
        self.toxics: list[Toxic] = []
        self._source = source
        self._sink = sink
        self._under_way: asyncio.Queue[Piece | None] = asyncio.Queue(_CHUNKS)

    async def read(self) -> None:
        """Read until the end."""
        time = asyncio.get_running_loop().time
        while data := await self._source.read(_CHUNK):
            await self._under_way.put(Piece(data, time()))
        await self._under_way.put(None)

    async def write(self) -> None:
        """Write what passes the toxics, until the end."""
        while (piece := await self._under_way.get()) is not None:
            await self._pass(piece, tuple(self.toxics))
        for toxic in tuple(self.toxics):
            if not toxic.removed:
                await toxic.closing(self)
        if self._sink.can_write_eof():
            self._sink.write_eof()

    async def _pass(self, piece: Piece, toxics: tuple[Toxic, ...]) -> None:
        while toxics:
            toxic, *rest = toxics
            toxics = tuple(rest)
            if not toxic.removed:
                await toxic.act(piece, self, lambda piece, rest=toxics: self._pass(piece, rest))  # type: ignore[misc]
                return
        self._sink.write(piece.data)
        await self._sink.drain()
        self.carried += len(piece.data)


class Connection:
    """A client, the server, and the two links between them."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._writers = (client[1], server[1])
        self._answers = server[0]
        self.links = (Link(self, "upstream", client[0], server[1]), Link(self, "downstream", server[0], client[1]))
        self._is_broken = self._is_ending = False
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        """Carry bytes until both ends have closed, or the connection is broken off."""
        if self._is_broken:
            await _closed(self._writers)
            return
        steps = [step() for link in self.links for step in (link.read, link.write)]
        self._tasks = [asyncio.ensure_future(step) for step in steps]
        try:
            await asyncio.gather(*self._tasks)
        except OSError:  # An end is gone, and the other one has to learn of it.
            self.reset()
        except asyncio.CancelledError:
            if not self._is_broken:
                raise
        finally:
            await _ended(self._tasks)
            if not self._is_ending:
                await _closed(self._writers)

    def break_off(self) -> None:
        """Read no more, and close the connection at both ends once what was written has been sent."""
        self._is_broken = True
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """Let both ends see the end, and give the server the time to take note of it."""
        self._is_broken = self._is_ending = True
        await _ended(self._tasks)
        with suppress(OSError, TimeoutError):
            for writer in self._writers:
                if not writer.is_closing():
                    writer.write_eof()
            async with asyncio.timeout(_GRACE):
                while await self._answers.read(_CHUNK):
                    pass
        for writer in self._writers:
            writer.transport.abort()
        await _closed(self._writers)

    def reset(self) -> None:
        """Let both ends see a reset by their peer."""
        for writer in self._writers:
            reset(writer)
        self.break_off()


def reset(writer: asyncio.StreamWriter) -> None:
    """Let the peer see a reset."""
    with suppress(OSError):  # It is closed already.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _closed(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
    for writer in writers:
        with suppress(OSError):
            await writer.wait_closed()
