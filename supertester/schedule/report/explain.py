"""What a traced schedule shows, put into words: where it would have to wait, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from supertester.schedule.diagnosis import Feasibility
from supertester.schedule.lanes import Lane
from supertester.schedule.report.tracer import Hold, Step, Tracer
from supertester.schedule.run import Failure
from supertester.schedule.wait_graph import Wait, cycle_of, is_unanswered

__all__ = ["feasibility_text", "needs_of", "wait_lines"]

Names = Mapping[Lane, str]


def feasibility_text(found: Feasibility) -> str:
    """Say whether asyncio as it is can produce a failure."""
    if found.level == "fifo":
        return "yes, asyncio's own order fails in the same way"
    if found.level == "io":
        return (
            "yes, where timers, messages, I/O or jobs come in another order "
            f"(schedule {found.schedules} of that kind fails in the same way)"
        )
    others = (
        f"and so do {found.schedules - 1} others in which timers, messages, I/O and jobs come when they like"
        if found.schedules > 1
        else "and nothing in it comes from outside"
    )
    return f"only if some await takes longer: asyncio's own order passes, {others}"


def needs_of(steps: Sequence[Step], names: Names) -> list[str]:
    """Return what each forced switch asks for, a sentence each."""
    return [text for step in steps if step.forced and (text := _needs(step, steps, names))]


_LATE: Final = {"delivery": "arrive", "timer": "fire", "executor": "run", "process": "take its next message"}
"""What a lane of each kind does late; any other begins, or stands still."""


def _needs(switch: Step, steps: Sequence[Step], names: Names) -> str | None:
    if switch.instead_of is None:
        return None
    waiting, running = names[switch.instead_of], names[switch.lane]
    if switch.lane.kind == "fault":
        return f"{running} has to happen while {waiting} could go on"
    stands = next(
        (step for step in reversed(steps[: switch.number]) if step.lane is switch.instead_of and step.lines), None
    )
    if switch.instead_of.kind in _LATE or stands is None:
        return f"{waiting} has to {_LATE.get(switch.instead_of.kind, 'begin')} after {running} goes on"
    line = stands.lines[-1]
    return f"{waiting} has to stand still at {Path(line.filename).name}:{line.number} while {running} goes on"


# Who waits for whom --------------------------------------------------------------------------------------------------


def wait_lines(failure: Failure, tracer: Tracer, names: Names) -> list[str]:
    """Return a title, and a line for each task that waits for ever, those that form a cycle first."""
    waits = failure.waits
    if failure.kind != "deadlock" or not waits:
        return []
    tasks = {_lane_of(wait.task): wait.task for wait in waits}
    holders: dict[int, list[asyncio.Task[object]]] = {
        lock: [tasks[hold.lane] for hold in holds if hold.lane in tasks] for lock, holds in tracer.holds.items()
    }
    cycle = cycle_of(waits, holders)
    others = [wait for wait in waits if wait not in cycle]
    title = _CIRCLE if cycle else _NO_REPLY if any(is_unanswered(wait, waits) for wait in waits) else _LOST
    lines = [title, *(f"  {_line(wait, tracer, names)}" for wait in cycle)]
    if cycle and others:
        lines.append("and therefore:")
    return [*lines, *(f"  {_line(wait, tracer, names)}" for wait in others)]


_CIRCLE: Final = "deadlock: these wait for each other, in a circle:"
_NO_REPLY: Final = "lost reply: nobody is left who could answer, or wake, these:"
_LOST: Final = "lost wake-up: nobody is left who could wake these:"


def _line(wait: Wait, tracer: Tracer, names: Names) -> str:
    held = ", ".join(_held(tracer.holds.get(id(wait.wanted), ()), names))
    where = f" at {Path(wait.filename).name}:{wait.number}" if wait.filename else ""
    return f"{_name(wait, names)} waits for {_wanted(wait, names)}{where}" + (f", which {held}" if held else "")


def _held(holds: Sequence[Hold], names: Names) -> Iterator[str]:
    for hold in holds:
        since = f" since {Path(hold.line.filename).name}:{hold.line.number}" if hold.line is not None else ""
        yield f"{names.get(hold.lane, 'somebody')} holds{since}"


def _name(wait: Wait, names: Names) -> str:
    return names.get(_lane_of(wait.task), wait.label)


def _wanted(wait: Wait, names: Names) -> str:
    if (reply := wait.wanted_reply) is not None:
        return reply.by(names.get(reply.server.explored_lane, repr(reply.server)))
    if not wait.wanted_tasks:
        return wait.text
    return _listed([names.get(_lane_of(task), task.get_name()) for task in wait.wanted_tasks])


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _lane_of(task: asyncio.Task[object]) -> Lane:
    lane: Lane = task.explored_lane  # type: ignore[attr-defined]
    return lane
