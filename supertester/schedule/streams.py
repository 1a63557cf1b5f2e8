"""Connections of an explored program, which stay in memory: transports, and what stands in for their sockets.

What one side writes reaches the other in the same pieces and the same order, each as a step of a lane: one lane for
each direction. So everything that a network can delay, a schedule can.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio import transports, trsock
from asyncio.base_events import Server
from collections import deque
from contextvars import Context
from inspect import signature
from typing import Any, Final

from supertester.schedule.lanes import Lane

__all__ = ["MemorySocket", "MemoryTransport", "connect"]

Address = tuple[str, int] | str

_EOF: Final = object()
_RESET: Final = object()
_TAKES_TRANSPORT: Final = "transport" in signature(Server._attach).parameters  # type: ignore[attr-defined]
"""Whether a server knows its connections, as it does from Python 3.13 on, or just counts them."""


class MemorySocket:
    """As much of a socket as a server and its users need: addresses, and options that nobody minds."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, name: Address, peer: Address | None = None) -> None:
        self._name = name
        self._peer = peer
        if isinstance(name, str):
            self.family = getattr(socket, "AF_UNIX", socket.AF_INET)

    def getsockname(self) -> Address:
        return self._name

    def getpeername(self) -> Address:
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return self._peer

    def fileno(self) -> int:
        return -1

    def listen(self, backlog: int = 0) -> None:
        """Do nothing: the loop knows who listens."""

    def setsockopt(self, *options: Any) -> None:
        """Do nothing: there is no network whose options these would be."""

    def getsockopt(self, *_options: Any) -> int:
        return 0


class MemoryTransport(transports._FlowControlMixin, asyncio.Transport):
    """One end of a connection.

    Args:
        loop: The loop of both ends.
        name: The address of this end.
        peer_name: The address of the other end.
        lane: Where what reaches this end arrives.
        context: In which it does.
        serial: Its hash, so that sets of transports have the same order in every process.
    """

    def __init__(  # noqa: PLR0917 made in one place
        self, loop: Any, name: Address, peer_name: Address, lane: Lane, context: Context, serial: int
    ) -> None:
        self._extra: dict[str, Any]
        super().__init__({"sockname": name, "peername": peer_name}, loop)
        self._extra["socket"] = trsock.TransportSocket(MemorySocket(name, peer_name))  # type: ignore[arg-type]
        self._loop = loop
        self._lane = lane
        self._context = context
        self._serial = serial
        self._protocol: Any = None
        self._server: Any = None
        self._inbox: deque[Any] = deque()
        self._deliveries: deque[asyncio.Handle] = deque()
        self._in_flight = 0
        self._is_reading = False
        self._is_closing = False
        self._is_lost = False
        self._has_sent_eof = False

    peer: MemoryTransport

    def __hash__(self) -> int:
        return self._serial

    def __repr__(self) -> str:
        state = "closed" if self._is_lost else "closing" if self._is_closing else "open"
        name, peer = self._extra["sockname"], self._extra["peername"]
        return f"<MemoryTransport {name} to {peer} {state}>"

    # Beginning -------------------------------------------------------------------------------------------------------

    def begin(self, protocol: Any, server: Any = None) -> None:
        """Tell *protocol* that the connection is made, and from then on what arrives."""
        self._protocol = protocol
        self._server = server
        if server is not None:
            server._attach(*([self] if _TAKES_TRANSPORT else []))
        protocol.connection_made(self)
        if not self._is_closing:
            self.resume_reading()

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    # Reading ---------------------------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        if self._is_closing or not self._is_reading:
            return
        self._is_reading = False
        while self._deliveries:
            self._deliveries.pop().cancel()

    def resume_reading(self) -> None:
        if self._is_reading:
            return
        self._is_reading = True
        for _ in self._inbox:
            self._expect()

    def _arrive(self, item: Any) -> None:
        """Let *item* be under way to this end."""
        self._inbox.append(item)
        if self._is_reading:
            self._expect()

    def _expect(self) -> None:
        self._deliveries.append(self._loop.call_in(self._lane, self._deliver, context=self._context))

    def _deliver(self) -> None:
        """Take the next item from the way."""
        self._deliveries.popleft()
        item = self._inbox.popleft()
        if item is _EOF:
            if not self._is_closing and not self._protocol.eof_received():
                self.close()
        elif item is _RESET:
            if not self._is_closing:
                self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        else:
            self._take(item)

    def _take(self, data: bytes) -> None:
        if self._is_closing:
            self.peer._arrive(_RESET)
        elif isinstance(self._protocol, asyncio.BufferedProtocol):
            self._fill(data)
        else:
            self._protocol.data_received(data)
        self.peer._has_arrived(len(data))

    def _fill(self, data: bytes) -> None:
        while data and not self._is_closing:
            buffer = memoryview(self._protocol.get_buffer(len(data))).cast("B")
            count = min(len(buffer), len(data))
            if not count:
                self._lose(RuntimeError("get_buffer() returned an empty buffer"))
                return
            buffer[:count] = data[:count]
            self._protocol.buffer_updated(count)
            data = data[count:]

    # Writing ---------------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._has_sent_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._is_closing:
            return
        piece = bytes(data)
        self._in_flight += len(piece)
        self.peer._arrive(piece)
        self._maybe_pause_protocol()  # type: ignore[attr-defined]

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._has_sent_eof and not self._is_closing:
            self._has_sent_eof = True
            self.peer._arrive(_EOF)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are under way: nothing between the two ends holds any."""
        return self._in_flight

    def _has_arrived(self, count: int) -> None:
        self._in_flight -= count
        if not self._is_lost and self._protocol is not None:
            self._maybe_resume_protocol()  # type: ignore[attr-defined]

    # The end ---------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._lose(None)

    def abort(self) -> None:
        self.close()

    def _lose(self, error: Exception | None) -> None:
        """End this side; the other learns of it when that has gone its way."""
        self.resume_reading()  # What still arrives is answered by a reset.
        self._is_closing = True
        if error is None and not self._has_sent_eof:
            self.peer._arrive(_EOF)
        self._loop.call_in(self._lane, self._tell_lost, error, context=self._context)

    def _tell_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        server, self._server = self._server, None
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(error)
        finally:
            if server is not None:
                server._detach(*([self] if _TAKES_TRANSPORT else []))

    def reset(self) -> None:
        """End, and let the other side learn that nobody has taken the connection."""
        self._has_sent_eof = True
        self.peer._arrive(_RESET)
        self._lose(None)

    def forget(self) -> None:
        """End without telling anybody."""
        self._is_closing = self._is_lost = True
        self._inbox.clear()
        self._deliveries.clear()


def connect(
    loop: Any, names: tuple[Address, Address], lanes: tuple[Lane, Lane], contexts: tuple[Context, Context], serial: int
) -> tuple[MemoryTransport, MemoryTransport]:
    """Return the two ends of a new connection, each of which begins when it is told to."""
    first = MemoryTransport(loop, names[0], names[1], lanes[0], contexts[0], serial)
    second = MemoryTransport(loop, names[1], names[0], lanes[1], contexts[1], serial + 1)
    first.peer, second.peer = second, first
    return first, second
