"""Giving back the memory of the middle of a file, while others append to it: its size and its end stay as they are."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

__all__ = ["free_middle"]

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
"""``FALLOC_FL_KEEP_SIZE`` and ``FALLOC_FL_PUNCH_HOLE`` of ``linux/falloc.h``."""


def free_middle(descriptor: int, start: int, stop: int) -> None:
    """Free what a file has from *start* to *stop*, which is read as zeros from now on.

    Where the system cannot do that, nothing is freed. To cut the file off instead would lose what others append between
    the look at its size and the cut.

    Raises:
        OSError: The file is of a kind that cannot have holes.
    """
    if sys.platform == "linux" and _allocate()(descriptor, _KEEP_SIZE | _PUNCH_HOLE, start, stop - start):
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _allocate() -> Any:
    """Return ``fallocate`` of the C library: only few tests write so much that it is needed."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or library.fallocate
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function
