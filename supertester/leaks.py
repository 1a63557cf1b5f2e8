"""Processes that a piece of code started and left running."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.waiting import Bell, checked_seconds, wait_until
from supertester.errors import WaitTimeout
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.runtime import Runtime, current_runtime
from supertester.otp.supervision import BaseSupervisor, SupervisionEvent

__all__ = ["ProcessLeaks", "check_no_process_leaks", "watched_processes"]

_GRACE = 0.1


class ProcessLeaks:
    """What was started in a block, and after it, which of that is still running."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._started: list[Process] = []
        self._successors: set[Process] = set()
        self._deaf: list[Callable[[], object]] = []

    @property
    def left(self) -> list[Pid]:
        """The processes that are still running, oldest first; not those that took the place of an older one."""
        ours = set(self._started)
        return [process for process in self._started if process.is_alive() and not self._is_successor(process, ours)]

    def _is_successor(self, process: Process, ours: set[Process]) -> bool:
        """Say whether a supervisor started *process*, or one that it belongs to, in place of one that ran before."""
        while process not in self._successors:
            if process.spawner is None or process.spawner not in ours:
                return False
            process = process.spawner
        return True

    def check(self) -> Mismatch | None:
        """Say what is still running, or return ``None``."""
        left = self.left
        if not left:
            return None
        lines = [_line(process) for process in left if isinstance(process, Process)]
        what = "1 process was" if len(left) == 1 else f"{len(left)} processes were"
        return Mismatch(f"{what} left running", lines)

    def begin(self) -> None:
        """Start to take note of what starts."""
        self._runtime.on_spawn.append(self._spawned)
        for process in self._runtime:
            if isinstance(process.server, BaseSupervisor):
                self._listen(process.server.listeners)

    def _listen(self, listeners: list[Callable[[SupervisionEvent], object]]) -> None:
        listeners.append(self._heard)
        self._deaf.append(lambda: listeners.remove(self._heard))

    def _spawned(self, process: Process) -> None:
        self._started.append(process)

    def _heard(self, event: SupervisionEvent) -> None:
        old, new = event.old_pid, event.pid
        if not (event.kind == "restarted" and isinstance(new, Process) and isinstance(old, Process)):
            return
        if old not in self._started or old in self._successors:
            self._successors.add(new)

    async def end(self, grace: float) -> None:
        """Wait at most *grace* seconds for the end of what is ending, then take note no more."""
        bell = Bell(certain=True)
        forgetters = [process.on_exit(bell.ring) for process in self._started]
        try:
            await wait_until(lambda: not self.left, "the end", timeout=grace, clock=self._runtime.clock, bell=bell)
        except WaitTimeout:
            pass  # `left` has them.
        finally:
            for forget in forgetters:
                forget()
            self.stop()

    def stop(self) -> None:
        """Take note no more."""
        self._runtime.on_spawn.remove(self._spawned)
        for deaf in self._deaf:
            deaf()
        self._deaf.clear()


def _line(process: Process) -> str:
    starter = "" if process.spawner is None else f", started by {process.spawner!r}"
    messages = ", ".join(f"{kind} {shown(message)}" for kind, message in process.recent_messages[-3:])
    return f"{process!r}{starter}" + (f"; last messages: {messages}" if messages else "")


@asynccontextmanager
async def watched_processes(*, grace: float = _GRACE) -> AsyncIterator[ProcessLeaks]:
    """Find the processes that the body starts and leaves running, directly or through servers that were there before.

    What a supervisor restarts in place of a process that was there before does not count. Tasks and threads that are no
    processes are `IsolatedTestCase`'s business.

    Args:
        grace: Seconds on the runtime's clock for the end of what is ending; only used while something runs.
    """
    checked_seconds("grace", grace)
    leaks = ProcessLeaks(current_runtime())
    leaks.begin()
    try:
        yield leaks
    except BaseException:
        leaks.stop()
        raise
    await leaks.end(grace)


async def check_no_process_leaks(fn: Callable[[], Any], *, grace: float = _GRACE) -> Mismatch | None:
    """Call *fn*, plain or async, and say which processes it left running, or return ``None``.

    What *fn* raises is raised. See `watched_processes`.
    """
    if not callable(fn):
        raise TypeError(f"what may leak must be callable, got {fn!r}; pass the function, not its result")
    async with watched_processes(grace=grace) as leaks:
        result = fn()
        if inspect.isawaitable(result):
            await result
    return leaks.check()
