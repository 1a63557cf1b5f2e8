"""`PipeProxy`: stands between a program and the pipe that it reads another's answers from, and does things to them."""

from __future__ import annotations

import os
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import RLock, Thread
from types import TracebackType
from typing import Final, Self

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds
from supertester.chaos.chance import checked_count
from supertester.chaos.journal import chosen_seed, noting_here
from supertester.chaos.undoing import at_end_of_test
from supertester.errors import UsageError

__all__ = ["PipeFault", "PipeHit", "PipeProxy"]

_CHUNK: Final = 1 << 16
_MOST: Final = 1_000
"""Pieces that wait at the same time; while there are so many nothing more is read, and who writes has to wait, too."""


@dataclass(frozen=True)
class PipeHit:
    """Something that a fault has done.

    Attributes:
        fault: Its name.
        connection: Which of the pipes it was, from 0 on in the order in which they were made.
        outcome: What was done, in words.
    """

    fault: str
    connection: int
    outcome: str

    def __str__(self) -> str:
        return f"{self.fault} on pipe {self.connection}: {self.outcome}"


@dataclass
class _Piece:
    """Data that goes on at a time; without any, the pipe is closed then."""

    data: bytes | None
    at: float = 0.0


@dataclass(eq=False)
class PipeFault:
    """A fault that is on until `remove`, or the end of a ``with`` block, or until it has hit as often as it was to.

    Attributes:
        name: What it is.
        count: How often it is still to hit; ``None``: always.
        hits: What it has done so far; whoever needs it to have hit looks here.
    """

    name: str
    count: int | None
    hits: list[PipeHit] = field(default_factory=list)
    _act: Callable[[bytes], tuple[list[_Piece], str]] = field(default=lambda _: ([], ""), repr=False)
    _remove: Callable[[], object] = field(default=lambda: None, repr=False)

    def remove(self) -> None:
        """Let it act no longer."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class PipeProxy:
    """Passes on what comes out of pipes, with the faults that are on.

    A program that starts another and reads its answers needs a place for it: a function that is given both pipes and
    returns those to use, and that is nothing in production. `wrap` is one, for any number of pipes. A fault hits what
    comes next on any of them: all that can be read at once, which is a whole message if messages are short and are
    waited for. Without a fault, bytes pass as they are. It works in threads, needs no event loop, and ends with the
    test.

    Args:
        seed: Of what chance decides; by default that of the running test.

    Example::

        proxy = PipeProxy()
        reading, writing = proxy.wrap(process.stdout, process.stdin)
        with proxy.latency(500):
            ...
        proxy.flip()
    """

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = chosen_seed(seed, "PipeProxy")
        self._random = random.Random(self.seed)
        self._faults: list[PipeFault] = []
        self._pumps: list[_Pump] = []
        self._lock = RLock()
        self._note = noting_here()
        at_end_of_test(self.close)

    def wrap(self, reading: int, writing: int) -> tuple[int, int]:
        """Return a pipe with what comes from *reading*, which belongs to the proxy from now on; and *writing* as it is.

        Raises:
            UsageError: The proxy is closed.
        """
        with self._lock:
            if self._pumps and self._pumps[0].closed:
                raise UsageError("the proxy is closed")
            theirs, ours = os.pipe()
            self._pumps.append(_Pump(self, len(self._pumps), reading, ours))
        return theirs, writing

    # The faults --------------------------------------------------------------------------------------------------

    def latency(self, ms: float, *, count: int | None = None) -> PipeFault:
        """Let all arrive *ms* milliseconds late, in the same order."""
        seconds = checked_seconds("ms", ms) / 1000
        return self._on("latency", count, lambda data: ([_Piece(data, time.monotonic() + seconds)], f"{ms:g} ms late"))

    def flip(self, *, count: int | None = 1) -> PipeFault:
        """Let a bit arrive as its opposite."""

        def act(data: bytes) -> tuple[list[_Piece], str]:
            place = self._random.randrange(len(data) * 8)
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            return [_Piece(bytes(changed))], f"bit {place % 8} of byte {place // 8} of {shown(data)}"

        return self._on("flip", count, act)

    def insert(self, garbage: bytes, *, count: int | None = 1) -> PipeFault:
        """Let *garbage* arrive before what comes next."""
        return self._on("insert", count, lambda data: ([_Piece(garbage + data)], shown(garbage)))

    def duplicate(self, *, count: int | None = 1) -> PipeFault:
        """Let what comes next arrive twice."""
        return self._on("duplicate", count, lambda data: ([_Piece(data + data)], shown(data)))

    def cut(self, *, keep: int = 0, count: int | None = 1) -> PipeFault:
        """Let *keep* bytes of what comes next arrive, and then the end of the pipe."""
        checked_count("keep", keep, 0)

        def act(data: bytes) -> tuple[list[_Piece], str]:
            return [_Piece(data[:keep]), _Piece(None)], f"after {min(keep, len(data))} of {len(data)} bytes"

        return self._on("cut", count, act)

    def silence(self, *, count: int | None = None) -> PipeFault:
        """Let nothing arrive; it is lost."""
        return self._on("silence", count, lambda data: ([], f"{len(data)} bytes lost"))

    def _on(self, name: str, count: int | None, act: Callable[[bytes], tuple[list[_Piece], str]]) -> PipeFault:
        if count is not None:
            checked_count("count", count)
        fault = PipeFault(name, count, _act=act)
        fault._remove = lambda: self._off(fault)
        with self._lock:
            self._faults.append(fault)
        return fault

    def _off(self, fault: PipeFault) -> None:
        with self._lock, suppress(ValueError):
            self._faults.remove(fault)

    def close(self) -> None:
        """End all pipes; later calls do nothing."""
        for pump in self._pumps:
            pump.close()

    # In the threads ----------------------------------------------------------------------------------------------

    def pieces(self, data: bytes, connection: int) -> list[_Piece]:
        """Return what is to be passed on instead of *data*; of the faults that are on, the first acts."""
        with self._lock:
            fault = next((each for each in self._faults if each.count != 0), None)
            if fault is None:
                return [_Piece(data)]
            pieces, outcome = fault._act(data)
            if fault.count is not None:
                fault.count -= 1
            fault.hits.append(PipeHit(fault.name, connection, outcome))
        self._note(fault.name, f"pipe {connection}", outcome)
        return pieces


class _Pump:
    """The thread of one pipe."""

    def __init__(self, proxy: PipeProxy, number: int, reading: int, writing: int) -> None:
        self._proxy, self._number = proxy, number
        self._reading, self._writing = reading, writing
        self._waiting: deque[_Piece] = deque()
        self._ended = False
        self._wake, self._waking = os.pipe()
        self.closed = False
        for each in (reading, writing):
            os.set_blocking(each, False)
        self._thread = Thread(target=self._run, name=f"supertester-pipe-{number}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            with suppress(OSError):
                os.write(self._waking, b"!")
            if threading.current_thread() is not self._thread:
                self._thread.join()
            os.close(self._waking)

    def _run(self) -> None:
        try:
            while not self.closed and (self._waiting or not self._ended):
                self._await()
                if self._reads():
                    self._take()
                self._give()
        except BrokenPipeError:
            pass  # Nobody reads any more.
        finally:
            for each in (self._reading, self._writing, self._wake):
                os.close(each)

    def _reads(self) -> bool:
        return not self._ended and len(self._waiting) < _MOST

    def _await(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._reads():
            poll.register(self._reading, select.POLLIN)
        poll.register(self._writing, 0)  # Its end is told in any case.
        left = None
        if self._waiting:
            left = max(self._waiting[0].at - time.monotonic(), 0)
            if not left:
                poll.modify(self._writing, select.POLLOUT)
                left = None
        events = dict(poll.poll(None if left is None else left * 1000 + 1))
        if events.get(self._writing, 0) & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError

    def _take(self) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._reading, _CHUNK)
            if data:
                self._waiting.extend(self._proxy.pieces(data, self._number))
            else:
                self._ended = True

    def _give(self) -> None:
        while self._waiting and self._waiting[0].at <= time.monotonic():
            piece = self._waiting[0]
            if piece.data is None:
                self._waiting.clear()
                self._ended = True
                return
            with suppress(BlockingIOError):
                piece.data = piece.data[os.write(self._writing, piece.data) :]
            if piece.data:
                return
            self._waiting.popleft()
