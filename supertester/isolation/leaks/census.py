"""How many descriptors the process has: the one way to see those that C code opens."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from supertester.context import IsolationContext
from supertester.isolation.identity import is_tested_elsewhere
from supertester.isolation.installed import Undo, install_once
from supertester.isolation.leaks.descriptors import count_open, is_noted, is_of_grpc, is_shared_memory, target_of
from supertester.isolation.leaks.leak import Leak

__all__ = ["Census", "count", "watch"]

_FOLDER = "/proc/self/fd"
_open = os.open  # As it is while nothing is noted: the folder belongs to no test.
_known: tuple[int, frozenset[int]] = (-1, frozenset())
"""How many descriptors there were when they were last listed, and which."""


class _Counter:
    """Counts the descriptors of this process.

    The size of this folder is the number of its entries, since Linux 6.2; before, and elsewhere, there is no way that a
    clean test could pay for. The folder is held open, since looking it up takes longer than looking at it.
    """

    def __init__(self) -> None:
        self._process = 0
        self.folder = -1
        self._identity: tuple[int, int] | None = None

    def __call__(self) -> int | None:
        """Return the number, or ``None`` where it cannot be had."""
        if self._process != os.getpid():
            self._open()
        if self._identity is None:
            return None
        try:
            status = os.fstat(self.folder)
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            self._identity = None  # Closed by who closes everything.
            return None
        return status.st_size

    def _open(self) -> None:
        self._process, self._identity = os.getpid(), None
        try:
            self.folder = _open(_FOLDER, os.O_RDONLY)
            status = os.fstat(self.folder)
        except OSError:
            return
        if status.st_size:
            self._identity = status.st_dev, status.st_ino

    def close(self) -> None:
        """Give the folder back."""
        if self._identity is not None and self() is not None:
            os.close(self.folder)
        self._process, self._identity = 0, None


count = _Counter()


def watch() -> None:
    """Count from now on, until everything is uninstalled."""
    install_once(_install)


def _install() -> Undo:
    return count.close


class Census:
    """Compares the number of descriptors at the end of a test with that at its beginning.

    What others do at the same time would count too, so it speaks only where no other test was running, also none that
    is not isolated, and where the event loop opens none of its own as it goes, as uvloop does.
    """

    __slots__ = ("_before", "_context", "_own")

    def __init__(self, context: IsolationContext) -> None:
        global _known  # noqa: PLW0603 - one process has one set of descriptors
        self._context = context
        self._own: set[int] = set()
        self._before: int | None = None
        if context.alone:
            self._before = before = count()
            if before is not None and before != _known[0]:
                _known = (before, frozenset(_listed()))

    def enter_loop(self, loop: Any, *, is_new: bool) -> None:
        """Leave the descriptors out of account that *loop* itself works with, if it was made in the test."""
        if not hasattr(loop, "_selector"):
            self._before = None
        elif is_new and self._before is not None:
            things = (getattr(loop, name, None) for name in ("_selector", "_ssock", "_csock"))
            self._own = {thing.fileno() for thing in things if thing is not None}

    def has_grown(self) -> bool:
        """Say whether there are more than at the beginning."""
        return self._growth() > 0

    def _growth(self) -> int:
        if self._before is None or not self._context.alone:
            return 0
        now = count()
        return 0 if now is None else now - self._before - len(self._own)

    def find(self) -> list[Leak]:
        """Return the descriptors that are new and that Python code did not open."""
        if not self.has_grown() or not self._new() or is_tested_elsewhere():
            return []
        gc.collect()  # What nobody refers to any more is closed by that.
        return [_leak(number) for number in self._new()]

    def _new(self) -> list[int]:
        known = _known[1] | self._own | {count.folder}
        new = [number for number in _listed() if number not in known and not is_noted(number)]
        new = [number for number in new if not (is_shared_memory(number) or is_of_grpc(number))]
        # If there are more, some are from before the test: the list is as old as their number has been the same.
        return new if len(new) <= self._growth() - count_open(self._context) else []


def _listed() -> list[int]:
    return sorted(
        number
        for number in (int(entry.name) for entry in Path(_FOLDER).iterdir())
        if os.path.lexists(f"{_FOLDER}/{number}")
    )


def _leak(number: int) -> Leak:
    target = target_of(number)
    return Leak(
        kind="descriptors",
        thing=number,
        names=(target,),
        message=lambda: f"descriptor {number}, {target}, was left open; it was not opened by Python code",
        has_ended=lambda: not os.path.lexists(f"{_FOLDER}/{number}"),
    )
