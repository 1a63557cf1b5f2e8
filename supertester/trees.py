"""Supervision trees seen from outside: who is a supervisor, and when all that it should run is running."""

from __future__ import annotations

from typing import Any

from supertester._core.evidence import timed_out, with_history
from supertester._core.naming import describe
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import CallExit, UsageError
from supertester.otp import supervisor as otp
from supertester.otp.idle import until_idle
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY
from supertester.otp.refs import Reference, existing, resolve
from supertester.otp.runtime import Runtime, current_runtime
from supertester.otp.supervision import BaseSupervisor
from supertester.processes import listening

__all__ = [
    "supervisor_of",
    "wait_for_supervision_tree_ready",
    "wait_for_supervisor_restart",
    "wait_for_supervisor_stabilization",
]


async def wait_for_supervision_tree_ready(supervisor: Reference, timeout: float = 5.0) -> Pid:
    """Wait until every child of *supervisor*, and of the supervisors below it, is running; return its pid.

    Children that were terminated on purpose, or ended as they should, are not waited for.

    Args:
        supervisor: The supervisor at the top.
        timeout: Seconds on the runtime's clock; 0 looks once.

    Raises:
        WaitTimeout: Some child is not running, or the supervisor died; the message names it.
        UsageError: *supervisor* is dead, unknown, or no supervisor.
    """
    return await _wait(_Tree(supervisor_of(supervisor, "wait_for_supervision_tree_ready")), timeout)


async def wait_for_supervisor_restart(supervisor: Reference, timeout: float = 1.0) -> Pid:
    """Wait until *supervisor*, itself restarted perhaps, runs all its children again; return its pid.

    Otherwise like `wait_for_supervision_tree_ready`, except that a name that nobody has at present is waited for.
    """
    if isinstance(supervisor, Pid):
        supervisor = supervisor_of(supervisor, "wait_for_supervisor_restart")
    return await _wait(_Tree(supervisor), timeout)


async def wait_for_supervisor_stabilization(supervisor: Reference, timeout: float = 5.0) -> Pid:
    """Wait until the tree of *supervisor* is ready and its supervisors have nothing left to do; return its pid.

    Otherwise like `wait_for_supervision_tree_ready`. A child that crashes again as soon as it runs is not stable.
    """
    return await _wait(_Tree(supervisor_of(supervisor, "wait_for_supervisor_stabilization"), stable=True), timeout)


def supervisor_of(reference: Any, what: str) -> Process:
    """Return the live supervisor that *reference* refers to.

    Raises:
        UsageError: There is none, or it is no supervisor; the message begins with *what*.
    """
    process = existing(reference, what)
    if not isinstance(process.server, BaseSupervisor):
        raise UsageError(f"{what}: {process!r} is no supervisor")
    return process


class _Tree:
    """A supervision tree under observation."""

    def __init__(self, reference: Any, *, stable: bool = False) -> None:
        self.reference = reference
        self._stable = stable
        self._seen = "an unfinished look"
        self._top: Process | None = None

    @property
    def runtime(self) -> Runtime:
        return self.reference.runtime if isinstance(self.reference, Process) else current_runtime()

    async def look(self) -> Process | None:
        """Return the supervisor if its tree is ready."""
        top = self._top = resolve(self.reference)
        if top is None or not top.is_alive():
            if isinstance(self.reference, Process):
                raise timed_out(f"{self.reference!r} died, so its children will never be ready", self.reference)
            self._seen = f"no process is registered as {describe(self.reference)}"
            return None
        supervisor_of(top, "waiting for a supervision tree")
        running: list[Process] = [top]
        if not await self._is_ready(top, running):
            return None
        if self._stable:
            supervisors = [process for process in running if isinstance(process.server, BaseSupervisor)]
            if supervisors:  # pragma: no branch - all may die while the last one answers
                await until_idle(*supervisors, timeout=INFINITY)
            again: list[Process] = [top]
            if not await self._is_ready(top, again) or again != running:
                return None
        return top

    async def _is_ready(self, supervisor: Process, running: list[Process]) -> bool:
        """Say whether all below *supervisor* run, and add them to *running*."""
        try:
            # The request queues behind the ends of children that the supervisor has not heard of yet.
            rows = await otp.which_children(supervisor)
        except CallExit as error:
            self._seen = f"{supervisor!r} did not answer: {error.reason!r}"
            return False
        for row in reversed(rows):
            child = row.pid
            if child == "undefined":
                continue
            if not isinstance(child, Process) or not child.is_alive():
                self._seen = f"child {row.id!r} of {supervisor!r} is {child}"
                return False
            running.append(child)
            if isinstance(child.server, BaseSupervisor) and not await self._is_ready(child, running):
                return False
        return True

    def seen(self) -> str:
        """Say what was last seen."""
        return with_history(self._seen, self._top)


async def _wait(tree: _Tree, timeout: float) -> Pid:
    checked_seconds("timeout", timeout)
    runtime = tree.runtime
    what = f"all children of {describe(tree.reference)}"
    with listening(runtime) as bell:
        return await wait_until(tree.look, what, timeout=timeout, clock=runtime.clock, seen=tree.seen, bell=bell)
