"""Serves pipes from a thread, so that a client may block or await as it likes."""

from __future__ import annotations

import heapq
import itertools
import os
import secrets
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Final

from supertester.targets.stdio.wire import Decoder

__all__ = ["Link", "PipeServer"]

_CHUNK: Final = 1 << 16
_LAST_READS: Final = 1000
"""Pieces that are read in the end; who writes more has no end."""
_TOKEN: Final = 32
"""Bytes by which a program shows that it was meant to connect."""


class Link:
    """One connection with a client; all of it but its making happens in the thread of the server."""

    def __init__(self, server: PipeServer, reading: int, writing: int, token: bytes = b"") -> None:
        self.reading, self.writing = reading, writing
        self.is_open = True
        self.decoder: Decoder | None = None
        self._server = server
        self._token = token
        self._outgoing = bytearray()
        self._closes = False

    def send(self, data: bytes, *, closes_after: int | None = None) -> None:
        """Write *data*, or its first bytes, after which the connection is closed."""
        if not self.is_open or self._closes:
            return
        self._closes = closes_after is not None
        self._outgoing += data[:closes_after]
        self.write()

    def write(self) -> None:
        """Write as much as the pipe takes."""
        size = self._server.write_size or _CHUNK
        try:
            while self._outgoing:
                del self._outgoing[: os.write(self.writing, self._outgoing[:size])]
        except BlockingIOError:
            self._server.watch(self)
            return
        except OSError:
            self.close()  # The client is gone.
            return
        if self._closes:
            self.close()
        else:
            self._server.unwatch(self)

    def read(self) -> bool:
        """Take in what the client has written; say whether there may be more."""
        try:
            data = os.read(self.reading, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        if self._token:
            data = self._without_token(data)
        if data and self.is_open:
            self._server.received(self, data)
        return self.is_open

    def _without_token(self, data: bytes) -> bytes:
        known = self._token[: len(data)]
        if data[: len(known)] != known:
            self.close()  # A stranger.
        self._token = self._token[len(known) :]
        return data[len(known) :]

    def close(self) -> None:
        """Close both ends."""
        if self.is_open:
            self.is_open = False
            self._server.forget(self)
            for each in {self.reading, self.writing}:
                os.close(each)


class PipeServer:
    """A thread with all connections of one `MockPort`.

    Args:
        received: Called with the link and what has come.
        write_size: Bytes that are written at a time; 0: as many as there are.
        name: Of the thread.

    Attributes:
        patience: Seconds that the thread has to end; it only takes long if a function of the test's does.
    """

    def __init__(self, received: Callable[[Link, bytes], object], *, write_size: int, name: str) -> None:
        self.received = received
        self.write_size = write_size
        self.patience = 5.0
        self._selector = selectors.DefaultSelector()
        self._links: set[Link] = set()
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._closing = False
        self._lock = Lock()
        self._waking, self._wake = os.pipe()
        os.set_blocking(self._waking, False)
        os.set_blocking(self._wake, False)
        self._selector.register(self._waking, selectors.EVENT_READ, self._woken)
        self._listening: socket.socket | None = None
        self.token = b""
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # From any thread ---------------------------------------------------------------------------------------------

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the thread; once that has ended, nobody does."""
        with self._lock:
            if self._wake < 0:
                return
            self._calls.append(function)
            # It is awake; so much so that it has ended by now, perhaps, by this very call.
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._wake, b"!")

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Call *function* in the thread when so many seconds have passed."""
        entry = (time.monotonic() + seconds, next(self._numbers), function)
        self.call(lambda: heapq.heappush(self._timers, entry))

    def connect(self, reading: int, writing: int) -> None:
        """Serve a client that writes to *reading* and reads from *writing*."""
        self._prepare(Link(self, reading, writing))

    def listen(self) -> tuple[str, int]:
        """Let programs connect, too, and return where."""
        if self._listening is None:
            self.token = secrets.token_hex(_TOKEN // 2).encode()
            self._listening = listening = socket.create_server(("127.0.0.1", 0))
            listening.settimeout(0)
            self.call(lambda: self._selector.register(listening, selectors.EVENT_READ, self._accept))
        host, port = self._listening.getsockname()
        return host, port

    def close(self) -> bool:
        """Close all connections and end the thread; say whether it has ended."""
        # Only the thread says that it is to end: otherwise it could have done so before it is woken.
        self.call(self._stop)
        self._thread.join(self.patience)
        if self._thread.is_alive():
            return False
        with self._lock:
            wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)
        return True

    # In the thread -----------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._closing = True

    def _prepare(self, link: Link) -> None:
        for each in (link.reading, link.writing):
            os.set_blocking(each, False)
        self.call(lambda: self._serve(link))

    def _serve(self, link: Link) -> None:
        self._links.add(link)
        self._selector.register(link.reading, selectors.EVENT_READ, link.read)

    def watch(self, link: Link) -> None:
        """Let *link* write again when its client has read."""
        if link.writing not in self._selector.get_map():
            self._selector.register(link.writing, selectors.EVENT_WRITE, link.write)

    def unwatch(self, link: Link) -> None:
        """Do so no longer."""
        if link.writing in self._selector.get_map():
            self._selector.unregister(link.writing)

    def forget(self, link: Link) -> None:
        """Serve *link* no longer."""
        self.unwatch(link)
        with suppress(KeyError):
            self._selector.unregister(link.reading)
        self._links.discard(link)

    def _accept(self) -> None:
        assert self._listening is not None
        with suppress(OSError):
            accepted, _ = self._listening.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reading = accepted.detach()
            self._prepare(Link(self, reading, os.dup(reading), self.token))

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._waking, _CHUNK)
        while self._calls:
            self._calls.popleft()()

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select(self._until_next_timer()):
                    key.data()
                while self._timers and self._timers[0][0] <= time.monotonic():
                    heapq.heappop(self._timers)[2]()
        finally:
            self._end()

    def _until_next_timer(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _end(self) -> None:
        self._woken()
        for link in list(self._links):
            for _ in range(_LAST_READS):  # What was written before the end counts.
                if not link.read():
                    break
            link.close()
        self._selector.close()
        os.close(self._waking)
        if self._listening is not None:
            self._listening.close()
