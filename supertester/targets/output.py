"""What a program writes: kept up to a limit, shown when the test fails, and waited for without polling."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Final

__all__ = ["Output"]

_CHUNK: Final = 1 << 16
"""Bytes that are read at once: as many as a pipe holds, so that one look empties it."""


def _ready(poll: select.poll, timeout: float | None = None) -> set[int]:
    return {descriptor for descriptor, _ in poll.poll(timeout)}


class Output:
    """Reads a pipe in a thread, so that the program never has to wait for somebody to look at what it says.

    Args:
        descriptor: Of the pipe; it is closed in the end.
        limit: Bytes that are kept; of more, the last ones.
        heard: Called, in the thread, whenever something has come, and when nothing will any more.
        name: Of the thread.

    Attributes:
        has_ended: Whether nothing will come any more.
    """

    def __init__(self, descriptor: int, limit: int, heard: Callable[[], object], name: str) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._heard = heard
        self._parts: deque[bytes] = deque()
        self._size = self._dropped = 0
        self._lock = Lock()
        self.has_ended = False
        self._asked = self._answered = 0
        self._wake, self._ring = os.pipe()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """What was written, as UTF-8; what is none is replaced."""
        with self._lock:
            data, dropped = b"".join(self._parts), self._dropped
        text = data.decode("utf-8", "replace")
        return f"[{dropped} bytes before this were dropped]\n{text}" if dropped else text

    def catch_up(self) -> Callable[[], bool]:
        """Have all read that was written before this call; return what says whether it has been. It will be `heard`."""
        self._asked = asked = self._asked + 1
        with suppress(OSError):  # The thread has ended, and has read all.
            os.write(self._ring, b"?")
        return lambda: self.has_ended or self._answered >= asked

    def close(self, timeout: float) -> None:
        """Read what is there, no longer than *timeout* seconds, and end the thread."""
        self._thread.join(timeout)
        if self._ring >= 0:
            with suppress(OSError):
                os.write(self._ring, b"!")
            self._thread.join()
            os.close(self._ring)
            self._ring = -1

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN | select.POLLHUP)
        poll.register(self._wake, select.POLLIN)
        try:
            while True:
                ready, asked = _ready(poll), b""
                if self._wake in ready:
                    asked = os.read(self._wake, 1)
                    ready = _ready(poll, 0)  # Again: what was written before somebody asked may not have been there.
                if self._descriptor in ready:
                    data = os.read(self._descriptor, _CHUNK)
                    if not data:
                        return
                    self._keep(data)
                if asked == b"!":
                    return
                if asked:
                    self._answered += 1
                    self._heard()
        finally:
            os.close(self._descriptor)
            os.close(self._wake)
            self.has_ended = True
            self._heard()

    def _keep(self, data: bytes) -> None:
        with self._lock:
            self._parts.append(data)
            self._size += len(data)
            while self._size > self._limit:
                first = self._parts.popleft()
                spare = min(self._size - self._limit, len(first))
                if spare < len(first):
                    self._parts.appendleft(first[spare:])
                self._size -= spare
                self._dropped += spare
        self._heard()
