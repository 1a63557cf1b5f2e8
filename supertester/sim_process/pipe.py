"""`Pipe`: bytes on their way from one end to the other, in order and each piece in a step of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, ClassVar

__all__ = ["Pipe"]


class Pipe:
    """One direction of a worker's streams.

    Args:
        label: What a reader of reports would call it.
        faults: Offers what may happen to pieces that are under way, or ``None``.

    Attributes:
        reader: The other end.
    """

    schedule_lane: ClassVar[str] = "delivery"

    def __init__(self, label: str, faults: Any = None) -> None:
        self.schedule_label = label
        self.reader = asyncio.StreamReader()
        self._loop = asyncio.get_running_loop()
        self._faults = faults
        self._pieces: deque[bytes | None] = deque()
        self._owed = 0
        self._is_late = False
        self._late: float = 0

    def write(self, data: bytes) -> None:
        """Put *data* on its way."""
        if data:
            self._send(data)

    def write_eof(self) -> None:
        """Put the end on its way."""
        self._send(None)

    def _send(self, piece: bytes | None) -> None:
        self._pieces.append(piece)
        self._loop.call_soon(self._arrive)
        if self._faults is not None and len(self._pieces) == 1:
            self._faults.under_way(self)

    @property
    def first(self) -> bytes | None:
        """The piece that arrives next; ``None`` for the end."""
        return self._pieces[0]

    @property
    def last(self) -> bytes | None:
        """The piece that was sent last; ``None`` for the end."""
        return self._pieces[-1]

    def cut_last(self) -> None:
        """Let only the first half of the last piece arrive: its sender ended in the middle of writing it."""
        piece = self._pieces[-1]
        assert piece is not None
        self._pieces[-1] = piece[: len(piece) // 2]

    def be_late(self, seconds: float) -> None:
        """Let all that is under way, and what follows, arrive *seconds* later."""
        self._late = seconds

    def _arrive(self) -> None:
        if self._late:
            self._loop.call_later(self._late, self._catch_up)
            self._late, self._is_late = 0, True
        if self._is_late:
            self._owed += 1
            return
        piece = self._pieces.popleft()
        if piece is None:
            self.reader.feed_eof()
        elif piece:
            self.reader.feed_data(piece)
        if self._faults is not None:
            self._faults.arrived(self)
            if self._pieces:
                self._faults.under_way(self)

    def _catch_up(self) -> None:
        self._is_late = False
        owed, self._owed = self._owed, 0
        for _ in range(owed):
            self._loop.call_soon(self._arrive)
