"""`check_no_orphans`: whether a program has left processes behind, found by a mark that all of them carry."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import UsageError, WaitTimeout
from supertester.targets.reaper_program import wait_begun

if TYPE_CHECKING:
    import psutil

__all__ = ["check_no_orphans", "find_marked"]

_SHOWN = 100
"""Characters of a command that a message shows."""


def find_marked(mark: str) -> list[psutil.Process]:
    """Return the processes that have *mark* in their arguments or in their environment, the oldest first.

    This process and those that have started it are left out. So are processes that have ended and wait for their parent
    to take notice, because they have neither arguments nor an environment any more.

    Args:
        mark: A text that nothing else has, such as the id of a run.

    Raises:
        UsageError: The mark is too short to mean anything.

    >>> find_marked("d0b5b8a6 is nobody's mark")
    []
    """
    import psutil

    if not isinstance(mark, str):
        raise TypeError(f"a mark is a text, got mark={mark!r}")
    if len(mark) < 4:
        raise UsageError(f"a mark has at least 4 characters, so that it is not found by accident, got mark={mark!r}")
    own = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    found = [each for each in psutil.process_iter() if each.pid not in own and _has(each, mark)]
    return sorted(found, key=lambda process: process.pid)


def _has(process: psutil.Process, mark: str) -> bool:
    import psutil

    with suppress(psutil.Error, OSError):
        arguments = process.cmdline()
        if not arguments:
            wait_begun(process.pid)
            arguments = process.cmdline()
        if any(mark in argument for argument in arguments):
            return True
        return any(mark in value for value in process.environ().values())
    return False


async def check_no_orphans(mark: str, *, within: float = 1.0) -> Mismatch | None:
    """Wait until no process has *mark*, and say which ones there are if that does not happen.

    What to do before: end, or kill, the program whose processes they are.

    Args:
        mark: A text in their arguments or environment; see `find_marked`.
        within: Seconds to wait; with 0 it is looked once.

    Raises:
        UsageError: The mark is too short to mean anything.
    """
    checked_seconds("within", within)
    left: list[psutil.Process] = []

    def none_left() -> bool:
        left[:] = find_marked(mark)
        return not left

    try:
        await wait_until(none_left, f"the end of all processes with {mark!r}", timeout=within)
    except WaitTimeout:
        number = "1 process is" if len(left) == 1 else f"{len(left)} processes are"
        return Mismatch(f"{number} left with {mark!r}", history=[_described(each) for each in left])
    return None


def _described(process: psutil.Process) -> str:
    import psutil

    try:
        with process.oneshot():
            age = time.time() - process.create_time()
            command = " ".join(process.cmdline())
            return f"pid {process.pid}, {process.status()}, {age:.1f} s old: {command[:_SHOWN]}"
    except psutil.Error:
        return f"pid {process.pid}, gone meanwhile"
