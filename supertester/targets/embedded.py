"""Processes of `supertester.otp` as targets; the children of a supervisor are its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from supertester._core.naming import describe
from supertester.errors import CallExit, WaitTimeout
from supertester.otp import sys
from supertester.otp.info import process_info
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import KILL, SHUTDOWN, TIMEOUT
from supertester.otp.supervision import BaseSupervisor, Child
from supertester.targets.target import Identity, Target

__all__ = ["EmbeddedTarget", "running_children", "signal_exit"]


def signal_exit(target: Process, reason: Any) -> None:
    """Send *target* an exit signal that comes from nobody, so that it takes it for no parent's.

    One that traps exits may survive it, `KILL` excepted.
    """
    runtime = target.runtime
    token = runtime.activate()
    try:
        target.exit(reason)
    finally:
        runtime.deactivate(token)


def running_children(supervisor: Process) -> Iterator[tuple[Child, Process]]:
    """Yield the running children of *supervisor*, in start order."""
    server: Any = supervisor.server
    if isinstance(server, BaseSupervisor):
        for key, value in server.children.items():  # type: ignore[attr-defined]
            child = key if value is None else value
            if child.process is not None and child.process.exit_reason is None:
                yield child, child.process


class EmbeddedTarget(Target):
    """A process of `supertester.otp`."""

    def __init__(self, process: Process, name: str | None = None) -> None:
        self.process = process
        known_as = name if process.name is None else str(process.name)
        self._identity = Identity(known_as or describe(process.initial_call), process.os_pid, process.id)

    @property
    def identity(self) -> Identity:
        """Its name, or the id of the child, or its class; the process it lives in; and its number in the runtime."""
        return self._identity

    @property
    def pid(self) -> Pid:
        """The process, so that the target is a reference wherever a process is expected."""
        return self.process

    @property
    def exit_reason(self) -> Any:
        """Its exit reason."""
        return self.process.exit_reason

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"`` if suspended, or ``"gone"``."""
        return "stopped" if self.is_alive() and self.process.suspended else super().state

    def on_exit(self, callback: Callable[[Any], object]) -> Callable[[], object]:
        """Call ``callback(target)`` once, in the running event loop, when it has ended, soon if it has."""
        loop = asyncio.get_running_loop()
        handles: list[asyncio.Handle] = []
        forget = self.process.on_exit(lambda _: handles.append(loop.call_soon(callback, self)))

        def cancel() -> None:
            forget()
            for handle in handles:
                handle.cancel()

        return cancel

    def kill(self, reason: Any = KILL) -> None:
        """Send it an exit signal that comes from nobody; one that traps exits may survive any but `KILL`."""
        if self.is_alive():
            signal_exit(self.process, reason)

    async def stop(self, timeout: float = 5.0) -> Any:
        """Let it run ``terminate``, and end with `SHUTDOWN`."""
        try:
            await self.process.stop(SHUTDOWN, timeout)
        except CallExit as error:
            if error.reason == TIMEOUT and self.is_alive():
                raise WaitTimeout(f"{self!r} has not ended within {timeout:g} s after it was stopped") from None
        return self.exit_reason

    async def suspend(self) -> None:
        """Let it stand still between two messages."""
        await sys.suspend(self.process)

    async def resume(self) -> None:
        """Let it go on."""
        await sys.resume(self.process)

    def queue_len(self) -> int:
        """Return how many messages it has not begun to handle."""
        details = process_info(self.process)
        return 0 if details is None else details.message_queue_len

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until it has handled what it was sent before."""
        try:
            await sys.sync(self.process, timeout)
        except CallExit as error:
            raise WaitTimeout(f"{self!r} has not handled all within {timeout:g} s: {error.reason!r}") from error

    def supports(self, capability: str) -> bool:
        """Say whether it has a *capability*; only a supervisor has workers."""
        if capability == "workers":
            return isinstance(self.process.server, BaseSupervisor)
        return super().supports(capability)

    def workers(self) -> Sequence[Target]:
        """Return its running children that are no supervisors, if it is a supervisor itself."""
        if not self.supports("workers"):
            raise self.unsupported("workers")
        return [
            EmbeddedTarget(process, str(child.spec.id))
            for child, process in running_children(self.process)
            if child.spec.type == "worker"
        ]
