"""A program that outlives the one that started it, for long enough to end what that has left behind.

It reads from its standard input: first the mark that all of the processes have in their environment, then process
groups, ``+number`` and ``-number``, a line each; ``s`` or ``r`` with the number and the start of a process that was
stopped or let go on; ``m`` or ``u`` with a folder, in which something may be mounted, that was made or is gone; and
``k`` with another mark, whose processes are to end at once. When the input ends, whoever wrote there is gone, perhaps
killed. It says of a line that means nothing to it that this is so, and goes on: what the others say is to be done.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ROUNDS = 100
_ADDED = (b"+", b"s", b"m")
_UNDONE = {b"-": b"+", b"r": b"s", b"u": b"m"}
_DETACH = 2
_PAUSE = 0.01
# Places in ``/proc/pid/stat`` after the name: ``vsize`` and ``env_end`` of proc_pid_stat(5).
_MEMORY = 20
_ENVIRONMENT_END = 48


def marked(mark: bytes) -> list[int]:
    """Return the processes that have *mark* in their environment, where there is a ``/proc``."""
    found: list[int] = []
    if b"=" not in mark:  # An empty one is to be found in every process there is.
        return found
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in variables(int(folder.name)):
                found.append(int(folder.name))
    return found


def variables(pid: int) -> list[bytes]:
    """Return the environment that a process began its program with."""
    file = Path(f"/proc/{pid}/environ")
    found = file.read_bytes()
    if not found:
        wait_begun(pid)
        found = file.read_bytes()
    return found.split(b"\0")


def wait_begun(pid: int) -> None:
    """Return once a process that is just beginning another program has begun it.

    ``exec`` lets the parent go on a moment before the process has its arguments and its environment, on a busy machine
    tens of milliseconds. Until then both look empty.
    """
    for _ in range(_ROUNDS):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        # It has memory, unlike a process that has ended, or one of the system, and there is no end of its environment.
        if len(fields) <= _ENVIRONMENT_END or fields[_MEMORY] == b"0" or fields[_ENVIRONMENT_END] != b"0":
            return
        time.sleep(_PAUSE)


def go_on(pid: bytes, started: bytes) -> None:
    """Let the process go on that was stopped, unless its number is another's by now."""
    with suppress(OSError):
        fields = Path(f"/proc/{int(pid)}/stat").read_bytes().rpartition(b")")[2].split()
        if fields[19] == started:
            os.kill(int(pid), signal.SIGCONT)


def unmount(folder: bytes) -> None:
    """Unmount what is in *folder*, if anything is, and remove it."""
    import ctypes  # Hardly ever needed.

    ctypes.CDLL(None).umount2(folder, _DETACH)
    for _ in range(_ROUNDS):
        try:
            Path(os.fsdecode(folder)).rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:  # As a group is whose processes are just ending.
                return
            time.sleep(_PAUSE)
        else:
            return


def _kill(kill: Callable[[int, int], None], number: int) -> None:
    with suppress(OSError):
        kill(number, signal.SIGKILL)


def end(mark: bytes) -> None:
    """Kill all processes that have *mark* in their environment."""
    for _ in range(_ROUNDS):  # Who had only just been started is found in the next round.
        left = marked(mark)
        for number in left:
            _kill(os.kill, number)
        if not left:
            return


def take(line: bytes, left_behind: dict[bytes, set[bytes]]) -> None:
    """Do what *line* says, or note in *left_behind* what is to be done in the end.

    Raises:
        ValueError: It means nothing.
    """
    kind, rest = line[:1], line[1:-1]
    if not line.endswith(b"\n") or not _makes_sense(_UNDONE.get(kind, kind), rest):
        raise ValueError(f"not understood: {line!r}")
    if kind == b"k":
        end(rest)
    elif kind in _UNDONE:
        left_behind[_UNDONE[kind]].discard(rest)
    else:
        left_behind[kind].add(rest)


def _makes_sense(kind: bytes, rest: bytes) -> bool:
    if kind == b"+":
        return rest.isdigit()
    if kind == b"s":
        return len(rest.split()) == 2 and rest.split()[0].isdigit()
    return bool(rest) and kind in (b"m", b"k")


def main() -> None:
    """Wait for the end of the input, and kill what is left."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    mark = sys.stdin.buffer.readline().strip()
    left_behind: dict[bytes, set[bytes]] = {kind: set() for kind in _ADDED}
    for line in sys.stdin.buffer:
        try:
            take(line, left_behind)
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
    for process in left_behind[b"s"]:
        go_on(*process.split())
    for group in left_behind[b"+"]:
        _kill(os.killpg, int(group))
    end(mark)
    for folder in left_behind[b"m"]:
        unmount(folder)


if __name__ == "__main__":
    main()
