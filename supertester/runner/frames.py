"""How processes of a run talk: frames of plain data over sockets.

Only plain data crosses, never a test: ids and numbers go there, numbers and text come back.
"""

from __future__ import annotations

import marshal
import socket
import struct
from collections.abc import Iterator
from typing import Any

__all__ = ["Inbox", "frame", "send"]

_HEAD = struct.Struct("=I")
_CHUNK = 1 << 18
_NOW = getattr(socket, "MSG_DONTWAIT", 0)


def frame(message: tuple[Any, ...]) -> bytes:
    """Return *message* as bytes that `Inbox` takes apart."""
    data = marshal.dumps(message)
    return _HEAD.pack(len(data)) + data


def send(channel: socket.socket, message: tuple[Any, ...]) -> bool:
    """Send *message*, and say whether there still was somebody to receive it."""
    try:
        channel.sendall(frame(message))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


class Inbox:
    """Receives the frames of one sender."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.closed = False
        """Whether the sender is gone; what it sent before has been received."""
        self._buffer = bytearray()

    def receive(self, *, wait: bool = False) -> Iterator[tuple[Any, ...]]:
        """Yield what has arrived; with *wait*, something or the end."""
        self._read(0 if wait else _NOW)
        yield from self._frames()

    def drain(self) -> Iterator[tuple[Any, ...]]:
        """Yield all that has arrived, from a sender that is gone."""
        while self._read(_NOW):
            yield from self._frames()

    def _read(self, flags: int) -> bool:
        try:
            data = self.channel.recv(_CHUNK, flags)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self._buffer += data
        return True

    def _frames(self) -> Iterator[tuple[Any, ...]]:
        begin, have = 0, len(self._buffer)
        try:
            while have - begin >= _HEAD.size:
                (size,) = _HEAD.unpack_from(self._buffer, begin)
                end = begin + _HEAD.size + size
                if end > have:
                    break
                message: tuple[Any, ...] = marshal.loads(bytes(self._buffer[begin + _HEAD.size : end]))
                begin = end
                yield message
        finally:  # Also if nobody wants the rest yet.
            del self._buffer[:begin]
