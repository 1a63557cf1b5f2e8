"""What a supervisor does about the end of a child: end it, and see who comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from supertester._core.evidence import shown, timed_out
from supertester._core.waiting import checked_seconds
from supertester.errors import CallExit, UsageError, WaitTimeout
from supertester.otp import supervisor as otp
from supertester.otp.child_spec import STRATEGIES
from supertester.otp.process import Process
from supertester.otp.reasons import KILL, is_normal
from supertester.otp.refs import Reference
from supertester.otp.supervision import BaseSupervisor, Child
from supertester.processes import wait_for_process_death
from supertester.supervision_trace import ChildRestarted, TraceEvent, trace_supervision_events
from supertester.trees import supervisor_of, wait_for_supervisor_stabilization

__all__ = ["RestartResult", "probe_restart_strategy"]

_SCENARIOS = '("kill_child", id), ("kill_children", [ids]), ("cascade_failure", id)'


@dataclass(frozen=True, kw_only=True)
class RestartResult:
    """Who came back, by child id in start order; the children of a `DynamicSupervisor` go by the pid they had.

    Attributes:
        restarted: Those that got a new process, be it that they ended or that the strategy took them along.
        not_restarted: The others that ran before.
        expected: Those that should have got one, by the strategy and the restart types alone.
        supervisor_alive: Whether the supervisor put up with it; ``False`` when the limit of restarts was exceeded.
        events: All that happened, in order.
    """

    restarted: tuple[Any, ...]
    not_restarted: tuple[Any, ...]
    expected: tuple[Any, ...]
    supervisor_alive: bool
    events: tuple[TraceEvent, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: ids as text unless they are strings or numbers."""
        ids = {each.name: [_plain(id) for id in getattr(self, each.name)] for each in fields(self)[:3]}
        events = [event.to_dict() for event in self.events]
        return {**ids, "supervisor_alive": self.supervisor_alive, "events": events}


def _plain(id: Any) -> Any:
    return id if isinstance(id, (str, int, float)) else shown(id)


async def probe_restart_strategy(
    supervisor: Reference, strategy: str, scenario: tuple[str, Any], *, reason: Any = KILL, timeout: float = 5.0
) -> RestartResult:
    """End children of *supervisor* and see who is restarted; wait until all is calm again.

    Args:
        supervisor: The supervisor.
        strategy: The strategy that it is to have.
        scenario: ``("kill_child", id)``; ``("kill_children", [ids])``: all at once; ``("cascade_failure", id)``: again
            and again until it is not restarted any more, or the supervisor gives up.
        reason: How they end: ``KILL``, or any other reason, with which the child's ``terminate`` runs as well.
        timeout: Seconds for every single child to end and for the supervisor to become calm.

    Raises:
        UsageError: The strategy is another, the scenario is unknown, or a child is unknown or not running; nothing has
            been done then.
        WaitTimeout: A child does not end, or the supervisor does not become calm.

    >>> from supertester.otp import Agent, ChildSpec, Supervisor
    >>> async def main():
    ...     children = [ChildSpec(name, Agent, args=(0,)) for name in ("a", "b", "c")]
    ...     supervisor = await Supervisor.start_link(children, strategy="rest_for_one")
    ...     return (await probe_restart_strategy(supervisor, "rest_for_one", ("kill_child", "b"))).restarted
    >>> asyncio.run(main())
    ('b', 'c')
    """
    process = supervisor_of(supervisor, "probe_restart_strategy")
    checked_seconds("timeout", timeout)
    _check_strategy(process, strategy)
    children = await _children(process)
    kind, ids = _parsed(scenario, children, process)
    before = {id: child.process for id, child in children.items() if child.process is not None}
    expected = _expected(process, children, ids, reason)
    async with trace_supervision_events(process) as trace:
        if kind == "cascade_failure":
            await _cascade(process, before[ids[0]], reason, timeout)
        else:
            await asyncio.gather(*(_end(before[id], reason, timeout) for id in ids))
            await _calm(process, timeout)
    succeeded = {event.old_pid for event in trace.events if isinstance(event, ChildRestarted)}
    return RestartResult(
        restarted=tuple(id for id, pid in before.items() if pid in succeeded),
        not_restarted=tuple(id for id, pid in before.items() if pid not in succeeded),
        expected=expected,
        supervisor_alive=process.exit_reason is None,
        events=tuple(trace.events),
    )


# What is asked for ---------------------------------------------------------------------------------------------------


def _check_strategy(process: Process, strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise UsageError(f"a strategy must be one of {', '.join(map(repr, STRATEGIES))}, got {strategy!r}")
    actual = otp.strategy(process)
    if actual != strategy:
        raise UsageError(f"strategy mismatch: the strategy of {process!r} is {actual!r}, not {strategy!r}")


async def _children(process: Process) -> dict[Any, Child]:
    """Return the children by id, or by pid if they have none, in start order."""
    await otp.which_children(process)  # It knows of all that has ended when it has answered.
    server: Any = process.server
    if isinstance(server.children, dict) and all(child is None for child in server.children.values()):
        return {child.pid: child for child in server.children}
    return dict(server.children)


def _parsed(scenario: Any, children: dict[Any, Child], process: Process) -> tuple[str, list[Any]]:
    if not (isinstance(scenario, tuple) and len(scenario) == 2):
        raise UsageError(f"a scenario is one of {_SCENARIOS}; got {scenario!r}")
    kind, subject = scenario
    if kind not in ("kill_child", "kill_children", "cascade_failure"):
        raise UsageError(f"unknown scenario {kind!r}; the scenarios are {_SCENARIOS}")
    if kind == "kill_children":
        if isinstance(subject, (str, bytes)) or not isinstance(subject, Iterable):
            raise TypeError(f'("kill_children", [ids]) takes a list of ids, got {subject!r}')
        ids = list(subject)
    else:
        ids = [subject]
    for id in ids:
        if id not in list(children):  # Which need not be hashable to be told of.
            known = ", ".join(map(repr, children)) or "none"
            raise UsageError(
                f"no child of {process!r} has the id {id!r}; the children are: {known}", reason="not_found"
            )
        if children[id].process is None:
            raise UsageError(f"the child {id!r} of {process!r} is not running, so it cannot be ended")
    return kind, ids


def _expected(process: Process, children: dict[Any, Child], ids: list[Any], reason: Any) -> tuple[Any, ...]:
    """Return who should get a new process when *ids* end at once, by what is written in the specs."""
    server = process.server
    assert isinstance(server, BaseSupervisor)
    order = list(children)
    left = otp.intensity_left(process)
    anew: set[Any] = set()
    for id in ids:
        if id in anew or not _comes_back(children[id], reason):
            continue  # Who was taken along does not end again.
        if not left:
            break
        left -= 1
        affected = {"one_for_one": [id], "one_for_all": order, "rest_for_one": order[order.index(id) :]}
        taken_along = affected[server.spec.strategy]
        anew.update(each for each in taken_along if each == id or children[each].spec.restart != "temporary")
    return tuple(id for id in order if id in anew and children[id].process is not None)


def _comes_back(child: Child, reason: Any) -> bool:
    restart = child.spec.restart
    return restart == "permanent" or (restart == "transient" and not is_normal(reason))


# What is done --------------------------------------------------------------------------------------------------------


async def _end(child: Process, reason: Any, timeout: float) -> None:
    """End *child* with *reason*."""
    if reason == KILL:
        child.exit(KILL)
        await wait_for_process_death(child, timeout)
        return
    try:
        await child.stop(reason, timeout)
    except CallExit as error:
        if child.exit_reason is None:
            raise timed_out(f"{child!r} did not end with {reason!r} within {timeout:g} s", child) from error


async def _calm(process: Process, timeout: float) -> None:
    try:
        await wait_for_supervisor_stabilization(process, timeout)
    except (WaitTimeout, UsageError):
        if process.exit_reason is None:
            raise


async def _cascade(supervisor: Process, child: Process | None, reason: Any, timeout: float) -> None:
    """End *child* and its successors until there is none, or one time more than the supervisor puts up with."""
    assert isinstance(supervisor.server, BaseSupervisor)
    for _ in range(supervisor.server.spec.max_restarts + 1):
        if child is None:
            return
        known = supervisor.server.by_pid[child]
        await _end(child, reason, timeout)
        await _calm(supervisor, timeout)
        child = known.process if supervisor.exit_reason is None else None
