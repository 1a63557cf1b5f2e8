"""Child processes that a test has left running: of ``subprocess``, asyncio and ``multiprocessing``."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supertester._core.origin import Origin
from supertester._core.standstill import come_to_rest, is_at_rest
from supertester.context import IsolationContext
from supertester.isolation.births import births_of
from supertester.isolation.leaks import pools
from supertester.isolation.leaks.leak import Leak, plainly

if TYPE_CHECKING:
    import psutil

__all__ = ["find", "note_popen", "note_process"]

_SHOWN = 80
"""Characters of a command that a message shows."""
_FREEZE = 0.1
"""Seconds in which what is to be killed has to stand still."""


def note_popen(context: IsolationContext, popen: subprocess.Popen[Any]) -> None:
    """Take note of a child that *context* has just started with ``subprocess``, as asyncio does too."""
    births_of(context).add_child(_PopenChild(popen, Origin(3)))


def note_process(context: IsolationContext, process: Any) -> None:
    """Take note of a child that *context* has just started with ``multiprocessing``."""
    births_of(context).add_child(_ProcessChild(process, Origin(3)))


class _PopenChild:
    """A child started with ``subprocess.Popen``.

    The object is held weakly, because it closes its pipes when it goes away. Dropped while the child runs, it is kept
    by ``subprocess`` itself.
    """

    __slots__ = ("_popen", "origin", "pid")

    def __init__(self, popen: subprocess.Popen[Any], origin: Origin) -> None:
        self._popen = weakref.ref(popen)
        self.pid = popen.pid
        self.origin = origin

    @property
    def object(self) -> Any:
        popen = self._popen()
        if popen is None:
            popen = next(
                (each for each in list(getattr(subprocess, "_active", None) or ()) if each.pid == self.pid), None
            )
        return popen

    @property
    def names(self) -> tuple[str, ...]:
        arguments = self.object.args
        if isinstance(arguments, (str, bytes, os.PathLike)):
            return (os.fsdecode(arguments),)
        return (shlex.join(os.fsdecode(each) for each in arguments), os.fsdecode(arguments[0]))

    def has_ended(self) -> bool:
        popen = self.object
        return popen is None or popen.returncode is not None

    def reap(self) -> bool:
        """Take note of the child's end if it has ended; say whether it has. What asyncio started, asyncio reaps."""
        if not self.has_ended() and not self._is_of_asyncio():
            self.object.poll()
        return self.has_ended()

    def reap_last(self) -> bool:
        """Be `reap` when no event loop runs any more that would."""
        return self.has_ended() or self.object.poll() is not None

    def _is_of_asyncio(self) -> bool:
        filename, _ = next(self.origin.calls(), ("", ""))
        return f"{os.sep}asyncio{os.sep}" in filename


class _ProcessChild:
    """A child started with ``multiprocessing``, which keeps every process object until its end is noticed."""

    __slots__ = ("_process", "origin", "pid")

    def __init__(self, process: Any, origin: Origin) -> None:
        self._process = weakref.ref(process)
        self.pid = process.pid
        self.origin = origin

    @property
    def object(self) -> Any:
        return self._process()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.object.name,)

    def has_ended(self) -> bool:
        process = self.object
        # Closed, which is possible after its end only, or its end was noticed.
        return process is None or process._closed or process._popen is None or process._popen.returncode is not None

    def reap(self) -> bool:
        if not self.has_ended():
            self.object.is_alive()
        return self.has_ended()

    reap_last = reap


def find(context: IsolationContext) -> list[Leak]:
    """Return the child processes of the test that have not ended."""
    if context.os_pid != os.getpid():
        return []  # A fork of the test: they are not its children.
    running = [child for child in context.births.children if not child.reap()]
    managed = {*_managed(), *pools.workers(context)} if running else set()
    return [_leak(child) for child in running if child.object not in managed]


def reap(context: IsolationContext) -> None:
    """Let no child of the test be a zombie."""
    if context.os_pid == os.getpid():
        for child in context.births.children:
            child.reap_last()


def _managed() -> set[Any]:
    """Return the processes of executors, which end with these."""
    pools = sys.modules.get("concurrent.futures.process")
    managers: Iterable[Any] = getattr(pools, "_threads_wakeups", ())
    return {
        process for thread in list(managers) for process in list((getattr(thread, "processes", None) or {}).values())
    }


def _leak(child: _PopenChild | _ProcessChild) -> Leak:
    names = child.names
    tree: list[Any] = []
    shown = names[0] if len(names[0]) <= _SHOWN else names[0][: _SHOWN - 1] + "…"
    return Leak(
        kind="children",
        thing=child.object,
        names=names,
        message=lambda: (
            f"child process {shown!r}{plainly(child.origin, 'started')} was left running, with pid {child.pid}; "
            "end it and wait for it"
        ),
        origin=child.origin,
        end=lambda: tree.extend(_kill(child)),
        takes_time=True,
        has_ended=lambda: child.reap() and not any(_runs(process) for process in tree),
    )


def _kill(child: _PopenChild | _ProcessChild) -> list[Any]:
    """Kill *child* with all of its descendants, and return them."""
    import psutil  # Here the time does not matter, and it never kills a process that has got the number of another.

    try:
        tree = [psutil.Process(child.pid)]
    except psutil.NoSuchProcess:
        return []
    for process in tree:  # Grows meanwhile; who is stopped starts no others.
        with contextlib.suppress(psutil.Error):
            _freeze(process)
            tree += process.children()
    for process in tree:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return tree[1:]


def _freeze(process: psutil.Process) -> None:
    process.suspend()
    come_to_rest(lambda: [] if is_at_rest(process) else [process], _FREEZE)


def _runs(process: Any) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
