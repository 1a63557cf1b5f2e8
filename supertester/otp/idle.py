"""`until_idle`: wait until nothing is left to do in the runtime (rule 34). Exact: no polling, no pause."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from supertester._core.clock import checked_timeout
from supertester.errors import WaitTimeout
from supertester.otp.drive import PAUSE, wake
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY
from supertester.otp.refs import existing
from supertester.otp.runtime import Runtime, current_runtime

__all__ = ["IdleWatch", "until_idle"]


def _busy(process: Process) -> bool:
    if process.in_flight:
        return process.exit_reason is None
    return process.server is not None and (process.scheduled or bool(process.queue))


class IdleWatch:
    """The processes that still have something to do, and a future for the moment when none has."""

    def __init__(self, runtime: Runtime, chosen: frozenset[Process] | None) -> None:
        self._chosen = chosen
        self.explored = None if runtime.explored_idleness is None else runtime.explored_idleness(runtime, chosen)
        self.rested: asyncio.Future[None] = (
            runtime.loop.create_future() if self.explored is None else self.explored.future
        )
        self.busy: set[Process] = set()
        for process in runtime.processes if chosen is None else chosen:
            if _busy(process):
                self.busy.add(process)

    def add(self, process: Process) -> None:
        """*process* has got something to do."""
        if self._chosen is None or process in self._chosen:
            self.busy.add(process)

    def discard(self, process: Process) -> None:
        """*process* has done what it had to, or is dead."""
        if not _busy(process):
            self.busy.discard(process)
            if not self.busy and not self.rested.done():
                if self.explored is not None:
                    self.explored.rested()
                else:
                    self.rested.set_result(None)


async def until_idle(*targets: Any, timeout: float = 5.0) -> None:
    """Wait until every mailbox is empty and every process waits for its next message.

    Args:
        targets: The processes to look at; none: all of the runtime.
        timeout: Seconds to wait, on the runtime's clock.

    A process whose handler awaits something is not idle, nor is a suspended one with messages. What is yet to come,
    from timers, threads or sockets, is not waited for.

    Raises:
        WaitTimeout: Some are still busy; the message names them.
    """
    chosen = frozenset(existing(target, "until_idle") for target in targets) if targets else None
    runtime = next(iter(chosen)).runtime if chosen else current_runtime()
    checked_timeout(timeout)
    clock = runtime.clock
    deadline = clock.time() + timeout
    if runtime.explored_idleness is not None:
        await PAUSE  # What follows depends on all activity, what came before does not: they are two steps.
    while True:
        watch = IdleWatch(runtime, chosen)
        if not watch.busy:
            if watch.explored is not None:
                watch.explored.over()
            return
        if clock.time() >= deadline:
            raise WaitTimeout(f"not idle within {timeout} s: {describe(watch.busy)}")
        runtime.watch(watch)
        timer = None if timeout == INFINITY else clock.call_at(deadline, wake, watch.rested)
        try:
            await watch.rested
        finally:
            runtime.unwatch(watch)
            if timer is not None:
                timer.cancel()


def describe(processes: Iterable[Process]) -> str:
    """Say what keeps each of *processes* busy."""
    from supertester.otp.info import process_info

    lines = []
    for process in sorted(processes, key=lambda each: each.id):
        info = process_info(process)
        if info is not None:
            where = " in " + " > ".join(info.current_function) if info.current_function else ""
            lines.append(f"{process!r} is {info.status} with {info.message_queue_len} messages queued{where}")
    return "; ".join(lines)
