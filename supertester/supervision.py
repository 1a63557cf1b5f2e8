"""Supervisors seen from outside: when their trees are ready, and whether they run what they should."""

from __future__ import annotations

from typing import Any

from supertester._core.evidence import history_of, timed_out, with_history
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import CallExit, UsageError
from supertester.otp import supervisor as otp
from supertester.otp.child_spec import STRATEGIES
from supertester.otp.idle import until_idle
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY
from supertester.otp.refs import Reference, existing, resolve
from supertester.otp.runtime import Runtime, current_runtime
from supertester.otp.supervision import BaseSupervisor, ChildInfo
from supertester.processes import listening

__all__ = [
    "check_all_children_alive",
    "check_child_count",
    "check_supervisor_strategy",
    "get_active_child_count",
    "wait_for_supervision_tree_ready",
    "wait_for_supervisor_restart",
    "wait_for_supervisor_stabilization",
]

_PATIENCE = 5.0
"""Seconds that a supervisor may take to answer a check."""


# Waiting -------------------------------------------------------------------------------------------------------------


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
    return await _wait(_Tree(_supervisor(supervisor, "wait_for_supervision_tree_ready")), timeout)


async def wait_for_supervisor_restart(supervisor: Reference, timeout: float = 1.0) -> Pid:
    """Wait until *supervisor*, itself restarted perhaps, runs all its children again; return its pid.

    Otherwise like `wait_for_supervision_tree_ready`, except that a name that nobody has at present is waited for.
    """
    if isinstance(supervisor, Pid):
        supervisor = _supervisor(supervisor, "wait_for_supervisor_restart")
    return await _wait(_Tree(supervisor), timeout)


async def wait_for_supervisor_stabilization(supervisor: Reference, timeout: float = 5.0) -> Pid:
    """Wait until the tree of *supervisor* is ready and its supervisors have nothing left to do; return its pid.

    Otherwise like `wait_for_supervision_tree_ready`. A child that crashes again as soon as it runs is not stable.
    """
    return await _wait(_Tree(_supervisor(supervisor, "wait_for_supervisor_stabilization"), stable=True), timeout)


def _supervisor(reference: Any, what: str) -> Process:
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
        _supervisor(top, "waiting for a supervision tree")
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


# Looking -------------------------------------------------------------------------------------------------------------


async def get_active_child_count(supervisor: Reference) -> int:
    """Return how many children of *supervisor* are running.

    Raises:
        UsageError: It is dead, unknown, or no supervisor.
    """
    process = _supervisor(supervisor, "get_active_child_count")
    return (await otp.count_children(process, _PATIENCE))["active"]


async def check_child_count(supervisor: Reference, expected: int) -> Mismatch | None:
    """Say that *supervisor* has not exactly *expected* running children, or return ``None``."""
    if isinstance(expected, bool) or not isinstance(expected, int):
        raise TypeError(f"a count of children must be an integer, got {expected!r}")
    if expected < 0:
        raise UsageError(f"a count of children must be 0 or more, got {expected!r}")
    rows = await _rows(supervisor)
    if isinstance(rows, Mismatch):
        return rows
    process, children = rows
    running = sum(isinstance(child.pid, Process) and child.pid.is_alive() for child in children)
    if running == expected:
        return None
    return Mismatch(f"{process!r} runs {running} children, expected {expected}", _shown(process, children))


async def check_all_children_alive(supervisor: Reference) -> Mismatch | None:
    """Say which children of *supervisor* are not running, or return ``None``."""
    rows = await _rows(supervisor)
    if isinstance(rows, Mismatch):
        return rows
    process, children = rows
    dead = [repr(row.id) for row in reversed(children) if not (isinstance(row.pid, Process) and row.pid.is_alive())]
    if not dead:
        return None
    return Mismatch(f"not all children of {process!r} are alive: {', '.join(dead)}", _shown(process, children))


async def check_supervisor_strategy(supervisor: Reference, expected: str) -> Mismatch | None:
    """Say that the strategy of *supervisor* is not *expected*, or return ``None``."""
    if expected not in STRATEGIES:
        raise UsageError(f"a strategy must be one of {', '.join(map(repr, STRATEGIES))}, got {expected!r}")
    process = _alive(supervisor)
    if isinstance(process, Mismatch):
        return process
    actual = otp.strategy(_supervisor(process, "check_supervisor_strategy"))
    if actual == expected:
        return None
    return Mismatch(f"the strategy of {process!r} is {actual!r}, expected {expected!r}", history_of(process))


def _alive(supervisor: Any) -> Process | Mismatch:
    process = resolve(supervisor)
    if process is None:
        return Mismatch(f"no process is registered as {describe(supervisor)}")
    if not process.is_alive():
        return Mismatch(f"{process!r} is dead", history_of(process))
    return process


async def _rows(supervisor: Any) -> tuple[Process, list[ChildInfo]] | Mismatch:
    process = _alive(supervisor)
    if isinstance(process, Mismatch):
        return process
    try:
        return process, await otp.which_children(process, _PATIENCE)
    except CallExit as error:
        return Mismatch(f"{process!r} did not tell its children: {error.reason!r}", history_of(process))


def _shown(process: Process, rows: list[ChildInfo]) -> list[str]:
    return [f"{row.id!r} is {row.pid!r}" for row in reversed(rows)] + history_of(process)
