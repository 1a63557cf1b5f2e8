"""What a test writes, at the level of file descriptors: also what its child processes write. Bounded, and in no folder.

A worker's standard output and error are one file without a name. The worker empties it after each test; the parent sees
it too, so it knows what a dead worker wrote, and keeps it from growing without bound.
"""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["MOST", "Capture", "flush", "open_file", "read"]

MOST = 64 * 1024
"""Bytes of output that are kept of a test: half from its beginning, half from its end."""
_TOO_BIG = 16 * 1024 * 1024
"""Bytes that the file may hold before the parent empties it, while a test goes on and on."""


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
        self._head = b""
        self._left_out = 0

    def take(self) -> str:
        """Return what was written since the last time, bounded, and empty the file."""
        size = os.fstat(self._file).st_size
        if not size and not self._left_out:
            return ""
        head, left_out, self._head, self._left_out = self._head, self._left_out, b"", 0
        text = _bounded(self._file, size, head=head, left_out=left_out)
        os.ftruncate(self._file, 0)
        return text

    def limit(self) -> None:
        """Empty the file if it is too big, and remember how it began."""
        size = os.fstat(self._file).st_size
        if size < _TOO_BIG:
            return
        self._head = self._head or os.pread(self._file, MOST // 2, 0)
        os.ftruncate(self._file, 0)
        self._left_out += size - (len(self._head) if not self._left_out else 0)

    def carry(self, output: str) -> str:
        """Return *output*, the end of what a test wrote, after what `limit` took of it."""
        if not self._left_out:
            return output
        head, left_out, self._head, self._left_out = self._head, self._left_out, b"", 0
        return f"{_text(head)}\n... {left_out} bytes left out ...\n{output}"


def _bounded(descriptor: int, size: int, *, head: bytes = b"", left_out: int = 0) -> str:
    """Return the *size* bytes of a file as text, after *head*; without its middle if it is long."""
    if not left_out and size <= MOST:
        return _text(os.pread(descriptor, size, 0))
    half = MOST // 2
    if not left_out:
        head = os.pread(descriptor, half, 0)
        left_out = size - 2 * half
    else:
        left_out += max(0, size - half)
    tail = os.pread(descriptor, half, max(0, size - half))
    return f"{_text(head)}\n... {left_out} bytes left out ...\n{_text(tail)}"


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
