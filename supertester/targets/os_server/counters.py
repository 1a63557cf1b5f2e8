"""Numbers that a server in a process of its own and whoever started it both see at once, without a message."""

from __future__ import annotations

import mmap
import os
from typing import Final

__all__ = ["FAMILY", "HANDLED", "OWN", "RESTED", "SUSPENDED", "TRAPS_EXITS", "Counters"]

HANDLED: Final = 0
"""Messages whose handling has begun."""
OWN: Final = 1
"""Messages that the server's process has sent to itself."""
RESTED: Final = 2
"""Frames that had come when the server last had nothing to do."""
TRAPS_EXITS: Final = 3
SUSPENDED: Final = 4
FAMILY: Final = 5
"""Whether the process has started others, which may run."""
_COUNT: Final = 8


class Counters:
    """Whole numbers in memory that two processes share; each is written by one of them.

    Args:
        descriptor: Of the memory; by default a new one, which both have to close.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create("supertester-counters", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, mmap.PAGESIZE)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)
        self.values = memoryview(self._memory).cast("Q")

    def close(self) -> None:
        """Give the memory back; what was counted stays readable."""
        last = memoryview(bytearray(8 * _COUNT)).cast("Q")
        last[:] = self.values[:_COUNT]
        shared, self.values = self.values, last
        shared.release()
        self._memory.close()
