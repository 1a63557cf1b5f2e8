"""What becomes of the copy of a process that a test has forked, if it comes back out of the test."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NoReturn

__all__ = ["Original", "end_copy"]

_STDERR = 2


class Original:
    """The process that runs tests; none that is forked from it later is."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process, and no copy."""
        return os.getpid() == self._process


def end_copy(raised: Iterable[str]) -> NoReturn:
    """End this process, a copy, at once, after it has written what a test *raised* in it.

    The test goes on in the process that it began in, which alone says what becomes of it. A copy that went on too would
    run all other tests a second time and report them on the same line. It flushes nothing and tidies nothing up, for
    what it holds belongs to the process that it is a copy of.
    """
    text = "".join(raised)
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(_STDERR, data) :]
    finally:
        os._exit(1 if text else 0)
