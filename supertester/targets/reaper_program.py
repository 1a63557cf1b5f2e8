"""A program that outlives the one that started it, for long enough to end what that has left behind.

It reads from its standard input: first the mark that all of the processes have in their environment, then process
groups, ``+number`` and ``-number``, a line each. When the input ends, whoever wrote there is gone, perhaps killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ROUNDS = 100


def marked(mark: bytes) -> list[int]:
    """Return the processes that have *mark* in their environment, where there is a ``/proc``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def _kill(kill: Callable[[int, int], None], number: int) -> None:
    with suppress(OSError):
        kill(number, signal.SIGKILL)


def main() -> None:
    """Wait for the end of the input, and kill what is left."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    mark = sys.stdin.buffer.readline().strip()
    groups = set()
    for line in sys.stdin.buffer:
        if line.startswith(b"+"):
            groups.add(int(line))
        else:
            groups.discard(-int(line))
    for group in groups:
        _kill(os.killpg, group)
    for _ in range(_ROUNDS):  # Who had only just been started is found in the next round.
        left = marked(mark)
        for number in left:
            _kill(os.kill, number)
        if not left:
            return


if __name__ == "__main__":
    main()
