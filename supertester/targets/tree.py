"""A process with all that it has started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from supertester._core.standstill import come_to_rest, is_at_rest

if TYPE_CHECKING:
    import psutil

__all__ = ["descendants", "has_children", "kill_tree", "living", "signal_group", "stand_still"]

_FREEZE: Final = 0.1
"""Seconds in which what is to be killed has to stand still."""


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; say whether there was one."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


def stand_still(group: int, within: float) -> list[psutil.Process]:
    """Suspend a process group, and block until that has taken effect, for so many seconds at most.

    Returns:
        Those that have not come to a stand.
    """

    def moving() -> list[psutil.Process]:
        # Sent again at each look, for those that were started meanwhile.
        return list(_moving(group)) if signal_group(group, signal.SIGSTOP) else []

    return come_to_rest(moving, within)


def _moving(group: int) -> Iterator[psutil.Process]:
    import psutil

    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getpgid(pid) == group and not is_at_rest(process := psutil.Process(pid)):
                yield process


def descendants(pid: int) -> list[psutil.Process]:
    """Return what the process has started, directly or not, as far as that is still its own."""
    import psutil

    with suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def has_children(pid: int) -> bool:
    """Say whether the process has started others that it has not waited for; true also where that cannot be seen."""
    try:
        return any((thread / "children").read_bytes() for thread in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return True


def kill_tree(pid: int, started: Iterable[psutil.Process] = ()) -> list[psutil.Process]:
    """Kill a process, its group, and what it has started, also if it has left the group.

    Args:
        pid: Of the process, and its group's number.
        started: What it is known to have started; once it has ended, nobody could tell.

    Returns:
        All that it has started.
    """
    import psutil

    stand_still(pid, _FREEZE)  # Who is stopped starts no others meanwhile.
    found = [*descendants(pid), *started]
    signal_group(pid, signal.SIGKILL)
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    return found


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended."""
    import psutil

    found = []
    for process in processes:
        with suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
