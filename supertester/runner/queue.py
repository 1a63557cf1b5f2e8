"""`Queue`: a pipe of units, from which any worker that is free takes the next one.

The kernel hands each unit to exactly one reader, without a lock and without asking anybody: that is the work stealing.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from collections import deque
from collections.abc import Callable, Iterable

from supertester.runner.plan import Unit

__all__ = ["Queue", "take"]

_UNIT = struct.Struct("=II")  # Far less than a pipe takes at once, so a unit is read and written as a whole.
_MOST = 64
"""Units that are written at once: as many bytes as POSIX promises to write as a whole or not at all."""


class Queue:
    """The parent's end.

    Attributes:
        reader: The descriptor that workers get.
        writer: The descriptor to write to, for who waits until there is room.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self._waiting: deque[Unit] = deque()
        self._open = True

    @property
    def has_waiting(self) -> bool:
        """Whether there is more to be put in than there was room for."""
        return bool(self._waiting)

    @property
    def is_empty(self) -> bool:
        """Whether everything that was put in has been taken."""
        return not self._waiting and not select.select([self.reader], [], [], 0)[0]

    def put(self, units: Iterable[Unit]) -> None:
        """Put *units* at the end."""
        self._waiting += units
        self.fill()

    def put_first(self, units: Iterable[Unit]) -> None:
        """Put *units* before all that nobody has taken."""
        self._waiting.extendleft(reversed([*units, *self.empty()]))
        self.fill()

    def fill(self) -> None:
        """Write as much as there is room for."""
        with contextlib.suppress(BlockingIOError):
            while self._waiting and self._open:
                some = [self._waiting[number] for number in range(min(_MOST, len(self._waiting)))]
                written = os.write(self.writer, b"".join(_UNIT.pack(each.start, each.stop) for each in some))
                for _ in range(written // _UNIT.size):
                    self._waiting.popleft()

    def empty(self) -> list[Unit]:
        """Take out all that nobody has taken, in order."""
        units: list[Unit] = []
        while (unit := _read(self.reader)) is not None:
            units.append(unit)
        units += self._waiting
        self._waiting.clear()
        return units

    def finish(self) -> None:
        """Let workers that find nothing more end."""
        if self._open:
            self._open = False
            os.close(self.writer)

    def close(self) -> None:
        """Give both ends back."""
        self.finish()
        os.close(self.reader)


def _read(reader: int) -> Unit | None:
    try:
        data = os.read(reader, _UNIT.size)
    except BlockingIOError:
        return None
    return Unit(*_UNIT.unpack(data)) if data else None


def take(reader: int, before_waiting: Callable[[], None]) -> Unit | None:
    """Return the next unit, or ``None`` at the end; *before_waiting* is called if there is none yet."""
    waited = False
    while True:
        try:
            data = os.read(reader, _UNIT.size)
        except BlockingIOError:
            if not waited:
                before_waiting()
                waited = True
            poll = select.poll()  # `select.select` knows no descriptor beyond 1023.
            poll.register(reader, select.POLLIN)
            poll.poll()
            continue
        return Unit(*_UNIT.unpack(data)) if data else None
