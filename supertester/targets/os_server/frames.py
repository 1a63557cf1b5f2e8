"""What travels between a server in a process of its own and whoever started it: frames on two pipes.

A frame is a header and a pickled value. The kind and a number stand in the header, so that a value which does not
unpickle can still be answered for. Pipes, because a Unix socket costs twice as much a message; and small reads, because
the buffer for a large one costs more than the message.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from struct import Struct
from typing import Final

__all__ = [
    "AT_REST",
    "BARRIER",
    "CALL",
    "CALL_FROM",
    "CAST",
    "END",
    "EVENT",
    "EXIT",
    "FAILURE",
    "HEADER",
    "IGNORED",
    "INFO",
    "READY",
    "REFUSED",
    "REPLY",
    "ROUTED",
    "SYSTEM",
    "TELL_REST",
    "TERMINATE",
    "Frame",
    "FrameReader",
    "framed",
]

Frame = tuple[int, int, bytes]

HEADER: Final = Struct("<IBQ")
"""Bytes that follow, kind, and number of the call."""
_unpack: Final = HEADER.unpack_from
_read: Final = os.read
_SIZE: Final = HEADER.size
_READ: Final = 479
"""Bytes that are read at once: with what Python adds to them, as many as it has a place ready for ..."""
_MORE: Final = 1 << 12
"""... where frames are larger than that ..."""
_MANY: Final = 1 << 18
"""... and where there are many."""


# What a frame is: first those to the server, then those from it. Plain numbers, which are looked up in no time.
CALL: Final = 1
CALL_FROM: Final = 2
CAST: Final = 3
INFO: Final = 4
EXIT: Final = 5
TERMINATE: Final = 6
SYSTEM: Final = 7
BARRIER: Final = 8
TELL_REST: Final = 9
READY: Final = 20
IGNORED: Final = 21
REFUSED: Final = 22
REPLY: Final = 23
FAILURE: Final = 24
AT_REST: Final = 25
EVENT: Final = 26
ROUTED: Final = 27
END: Final = 28


def framed(kind: int, number: int = 0, body: bytes = b"", pack: Callable[..., bytes] = HEADER.pack) -> bytes:
    """Return a frame of a *kind*, about the call *number* if it is about one."""
    return pack(len(body), kind, number) + body


class FrameReader:
    """Takes frames out of the pipe *descriptor*."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.has_ended = False
        self._parts: list[bytes] = []
        self._missing = 0
        self._next = _READ

    def read(self) -> list[Frame]:
        """Read once, and return the frames that are whole then: kind, number, body."""
        asked = self._next
        data = _read(self.descriptor, asked)
        length = len(data)
        if length == asked:
            self._next = _MORE if asked == _READ else _MANY  # There is more.
        elif asked != _READ:
            self._next = _MORE if asked == _MANY or self._parts or length >= _READ else _READ
        if not self._parts and length >= _SIZE:
            size, kind, number = _unpack(data)
            if length == _SIZE + size:
                return [(kind, number, data[_SIZE:])]
        elif not data:
            self.has_ended = True
            return []
        elif self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data = b"".join(self._parts)
            self._parts = []
        return self._taken_apart(data)

    def _taken_apart(self, data: bytes) -> list[Frame]:
        frames = []
        at, length, size = 0, len(data), 0
        while length - at >= _SIZE:
            size, kind, number = HEADER.unpack_from(data, at)
            end = at + _SIZE + size
            if end > length:
                break
            frames.append((kind, number, data[at + _SIZE : end]))
            at = end
        else:
            size = 0
        if at < length:
            self._parts = [data[at:]]
            self._missing = _SIZE + size - (length - at)
        return frames
