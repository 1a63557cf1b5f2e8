"""Files that runs remember in: read as a whole, replaced as a whole, by one process after the other."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import IO

__all__ = ["locked", "make_folder", "read", "replace"]


def make_folder(folder: str) -> None:
    """Make the folder *folder* if there is none, with what keeps it out of version control."""
    os.makedirs(folder, exist_ok=True)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        replace(ignore, "*\n")


def read(file: str) -> str:
    """Return the text of *file*; what is no text in it cannot be lost on the way back."""
    with open(file, encoding="utf-8", errors="surrogateescape", newline="") as found:
        return found.read()


def replace(file: str, text: str) -> None:
    """Write *text* into *file* in one step: whoever reads it, sees the old text or the new.

    Letters that no file can hold, such as half a surrogate pair in the name of a test, are written as escapes.
    """
    part = f"{file}-{os.getpid()}-{threading.get_ident()}"
    try:
        with open(part, "wb") as made:
            made.write(_encoded(text))
        os.replace(part, file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def locked(file: str) -> Iterator[None]:
    """Keep other processes and threads out; the lock goes with the process that holds it, however that ends."""
    with open(file, "a+b") as found:
        _lock(found)
        yield


if sys.platform == "win32":  # pragma: no cover

    def _lock(file: IO[bytes]) -> None:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)

else:

    def _lock(file: IO[bytes]) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
