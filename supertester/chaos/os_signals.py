"""Signals of the operating system: whom they kill for certain, and whom they are to hit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from supertester.errors import UsageError
from supertester.otp.pid import Pid
from supertester.targets.adapting import check_no_number, foreign_target, process_of
from supertester.targets.embedded import EmbeddedTarget
from supertester.targets.os_process import ProcessTarget, family
from supertester.targets.target import Target

__all__ = ["HasPid", "HasWorkers", "foreign_victim", "frozen_family", "is_lethal", "process_victim", "spare_core"]

_HARMLESS: Final = ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU")
"""Those that end nobody who has not asked for it."""


class HasPid(Protocol):
    """A process of the operating system, as many libraries have it, for type checkers."""

    @property
    def pid(self) -> int | None: ...


class HasWorkers(Protocol):
    """A pool, for type checkers."""

    def workers(self) -> Iterable[Any]: ...


def foreign_victim(thing: Any, what: str, *, behind: bool = False) -> Target | None:
    """Return *thing*, or what it returns, as a live target; ``None`` if it is a process of `supertester.otp`.

    Args:
        thing: Whatever chaos is to hit.
        what: Who asks, for messages.
        behind: Whether the process that a server of the runtime has for itself is meant, and not the server.

    Raises:
        UsageError: It has ended, is the process of the test itself, or a mere number.
    """
    found = foreign_target(thing)
    if found is None and callable(thing) and not isinstance(thing, Pid):
        return foreign_victim(thing(), what, behind=behind)
    if behind and (found is None or isinstance(found, EmbeddedTarget)):
        found = process_of(thing)
    if found is None:
        check_no_number(thing, what)
        return None
    if not found.is_alive():
        raise UsageError(f"{what}: {found!r} has ended already", reason="noproc")
    if isinstance(found, ProcessTarget) and found.pid in (os.getpid(), os.getppid()):
        raise UsageError(f"{what}: {found!r} is the process of the test or its parent; give one that the test started")
    return found


def process_victim(thing: Any, what: str) -> ProcessTarget:
    """Return *thing* as a live process of the operating system.

    Raises:
        UsageError: It has ended, is the process of the test itself, or a mere number.
        TypeError: It is no process of the operating system.
    """
    found = foreign_victim(thing, what, behind=True)
    if not isinstance(found, ProcessTarget):
        raise TypeError(
            f"{what}: {thing!r} is no process of the operating system; give an ExternalProcess, a Popen, a "
            "multiprocessing.Process, a psutil.Process, or a server of start_os_server()"
        )
    return found


def is_lethal(process: ProcessTarget, number: signal.Signals) -> bool:
    """Say whether the signal ends *process* for certain: it neither handles, ignores nor blocks it."""
    if number.name == "SIGKILL":
        return True
    if number.name in _HARMLESS:
        return False
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:"))]
    return not any(mask >> (number - 1) & 1 for mask in masks)


def spare_core(process: ProcessTarget) -> None:
    """Let *process* leave no image of its memory in its folder when it is ended by e.g. SIGSEGV."""
    try:
        from resource import RLIMIT_CORE, prlimit
    except ImportError:  # Not Linux.
        return
    with suppress(OSError):
        _, hard = prlimit(process.pid, RLIMIT_CORE)
        prlimit(process.pid, RLIMIT_CORE, (0, hard))


def frozen_family(root: ProcessTarget) -> list[ProcessTarget]:
    """Return the same, all of them stopped, so that none starts others meanwhile."""
    found: dict[Any, ProcessTarget] = {}
    new = [root]
    while new:
        for each in new:
            each.suspend_now()
            found[each.identity] = each
        new = [each for each in family(root) if each.identity not in found]
    return list(found.values())
