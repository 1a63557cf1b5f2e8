"""What a test writes, at the level of file descriptors: also what its child processes write. Bounded, and in no folder.

A worker's standard output and error are one file without a name. The worker empties it after each test; the parent sees
it too, so it knows what a dead worker wrote, and keeps it from growing without bound.
"""

from __future__ import annotations

import contextlib
import os
import sys

from supertester.runner.holes import free_middle

__all__ = ["MOST", "Capture", "flush", "open_file", "read"]

MOST = 64 * 1024
"""Bytes of output that are kept of a test: half from its beginning, half from its end."""
_TOO_BIG = 16 * 1024 * 1024
"""Bytes by which the file may grow before the parent frees its middle, while a test goes on and on."""


def open_file(name: str) -> int:
    """Return a descriptor of a new file without a name, to which everybody appends."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(name)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    return descriptor


class Capture:
    """Takes what has been written to a file of `open_file`."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor
        self._freed = 0

    def take(self) -> str:
        """Return what was written since the last time, bounded, and empty the file."""
        size = os.fstat(self._file).st_size
        if not size:
            return ""
        text = _bounded(self._file, size)
        os.ftruncate(self._file, 0)
        return text

    def limit(self) -> None:
        """Free the middle of the file if it has grown by much; its end, to which others may write, is not touched."""
        size = os.fstat(self._file).st_size
        if size < self._freed:
            self._freed = 0  # Somebody took it.
        if size - self._freed >= _TOO_BIG:
            free_middle(self._file, MOST // 2, size - MOST // 2)
            self._freed = size


def _bounded(descriptor: int, size: int) -> str:
    """Return the *size* bytes of a file as text; without its middle if it is long."""
    if size <= MOST:
        return _text(os.pread(descriptor, size, 0))
    half = MOST // 2
    head, tail = os.pread(descriptor, half, 0), os.pread(descriptor, half, size - half)
    return f"{_text(head)}\n... {size - 2 * half} bytes left out ...\n{_text(tail)}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def read(descriptor: int) -> str:
    """Return all that is in a file of `open_file`, bounded, and empty it."""
    return Capture(descriptor).take()


def flush() -> None:
    """Write what Python still holds back."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # The test may have closed or replaced it.
            stream.flush()
