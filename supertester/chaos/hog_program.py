"""A program that takes processor time, memory or processes, until it is killed or its input ends.

Its arguments are ``cpu NICE``; ``processes COUNT``, which wait; or ``memory BYTES FLOOR STEP``: take that many bytes,
in steps, but leave so many of the machine's. It says ``ready`` before it begins; of memory also ``held BYTES`` with
each step; and ``done`` with what it has got, where that may be less.
"""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

POPULATED = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0) | getattr(mmap, "MAP_POPULATE", 0)


def say(*words: object) -> None:
    """Write a line for who has started this."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def compute(nice: int) -> None:
    """Compute for ever."""
    os.nice(nice)
    say("ready")
    while True:
        pass


def multiply(wanted: int) -> None:
    """Start processes that wait until the input ends."""
    say("ready")
    held = 0
    with suppress(OSError):  # The system has no more.
        while held < wanted:
            if os.fork() == 0:
                os.read(0, 1)
                os._exit(0)
            held += 1
    say("done", held)
    os.read(0, 1)


def available() -> int:
    """Return the bytes of memory that the machine could give without pushing anybody out."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024


def hold(wanted: int, floor: int, step: int) -> None:
    """Take memory, each page of it, and keep it until the input ends."""
    with suppress(OSError):  # If there is too little for all, then it is this process that has to go.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    say("ready")
    blocks = []
    held = 0
    while held < wanted:
        size = min(step, wanted - held, available() - floor)
        if size < mmap.PAGESIZE:
            break
        try:
            blocks.append(mmap.mmap(-1, size, flags=POPULATED))
        except OSError:
            break
        held += size
        say("held", held)
    say("done", held)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "cpu":
        compute(int(sys.argv[2]))
    elif sys.argv[1] == "processes":
        multiply(int(sys.argv[2]))
    else:
        hold(*(int(argument) for argument in sys.argv[2:]))
