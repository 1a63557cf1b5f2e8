"""Supervisors seen from outside: whether they run what they should, and what they did about the end of a child.

All that there is to ask of a supervisor is here; most of it is made in `trees`, `restarts`, `tree_structure` and
`supervision_trace`.
"""

from __future__ import annotations

from typing import Any

from supertester._core.evidence import history_of
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester.errors import CallExit, UsageError
from supertester.otp import supervisor as otp
from supertester.otp.child_spec import STRATEGIES
from supertester.otp.process import Process
from supertester.otp.refs import Reference, resolve
from supertester.otp.supervision import ChildInfo
from supertester.restarts import RestartResult, probe_restart_strategy
from supertester.supervision_trace import (
    ChildRestarted,
    ChildStarted,
    ChildTerminated,
    LimitExceeded,
    SupervisionTrace,
    trace_supervision_events,
)
from supertester.targets.adapting import foreign_target
from supertester.targets.target import Target
from supertester.tree_structure import check_supervision_tree_structure
from supertester.trees import (
    supervisor_of,
    wait_for_supervision_tree_ready,
    wait_for_supervisor_restart,
    wait_for_supervisor_stabilization,
)
from supertester.workers import check_worker_count, check_workers_alive

__all__ = [
    "ChildRestarted",
    "ChildStarted",
    "ChildTerminated",
    "LimitExceeded",
    "RestartResult",
    "SupervisionTrace",
    "check_all_children_alive",
    "check_child_count",
    "check_supervision_tree_structure",
    "check_supervisor_strategy",
    "get_active_child_count",
    "probe_restart_strategy",
    "trace_supervision_events",
    "wait_for_supervision_tree_ready",
    "wait_for_supervisor_restart",
    "wait_for_supervisor_stabilization",
]

_PATIENCE = 5.0
"""Seconds that a supervisor may take to answer a check."""


async def get_active_child_count(supervisor: Reference | Target) -> int:
    """Return how many children of *supervisor*, or workers of a pool, are running.

    Raises:
        UsageError: It is dead, unknown, or no supervisor.
    """
    if (pool := foreign_target(supervisor)) is not None:
        return len(pool.workers())
    process = supervisor_of(supervisor, "get_active_child_count")
    return (await otp.count_children(process, _PATIENCE))["active"]


async def check_child_count(supervisor: Reference | Target, expected: int) -> Mismatch | None:
    """Say that *supervisor*, or a pool, has not exactly *expected* running children, or return ``None``."""
    if isinstance(expected, bool) or not isinstance(expected, int):
        raise TypeError(f"a count of children must be an integer, got {expected!r}")
    if expected < 0:
        raise UsageError(f"a count of children must be 0 or more, got {expected!r}")
    if (pool := foreign_target(supervisor)) is not None:
        return check_worker_count(pool, expected)
    rows = await _rows(supervisor)
    if isinstance(rows, Mismatch):
        return rows
    process, children = rows
    running = sum(isinstance(child.pid, Process) and child.pid.is_alive() for child in children)
    if running == expected:
        return None
    return Mismatch(f"{process!r} runs {running} children, expected {expected}", _shown(process, children))


async def check_all_children_alive(supervisor: Reference | Target) -> Mismatch | None:
    """Say which children of *supervisor*, or workers of a pool, are not running, or return ``None``."""
    if (pool := foreign_target(supervisor)) is not None:
        return check_workers_alive(pool)
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
    actual = otp.strategy(supervisor_of(process, "check_supervisor_strategy"))
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
