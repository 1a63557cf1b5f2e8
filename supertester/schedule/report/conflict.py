"""The conflicting pair: two accesses whose order a forced switch has changed, and that made the difference."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from supertester.schedule.lanes import Lane
from supertester.schedule.report.touched import Touch
from supertester.schedule.report.tracer import Line, Step

__all__ = ["Access", "Conflict", "conflicts_of"]


@dataclass(frozen=True)
class Access:
    """Who touched something, and where.

    Attributes:
        lane: Who did, or in whose name a server did.
        line, touch, step: What, where and when.
        host: The server.
    """

    lane: Lane
    line: Line
    touch: Touch
    step: int
    host: Lane | None = None

    @property
    def place(self) -> Hashable:
        """What was touched."""
        return self.touch.place


@dataclass(frozen=True)
class Conflict:
    """Two accesses in an order that the lane did not expect.

    Attributes:
        between: What the other lane did while this one stood still.
        after: What this one does with the same thing afterwards.
        before: What it had done with it before, on which it builds; ``None`` if nothing.
    """

    between: Access
    after: Access
    before: Access | None = None

    @property
    def lines(self) -> list[Line]:
        """The lines that it is about."""
        accesses = [self.between, self.after] + ([self.before] if self.before is not None else [])
        return [access.line for access in accesses]

    def text(self, names: dict[Lane, str]) -> str:
        """Return the conflict as a sentence."""
        other, own = names.get(self.between.lane, "somebody"), names.get(self.after.lane, "somebody")
        if self.after.host is not None:
            own += f", by {names[self.after.host]},"
        what = self.after.touch.text if self.before is None else self.before.touch.text
        if self.before is None:
            return (
                f"`{what}`: {other} {_does(self.between)} it at {_at(self.between)} before {own} "
                f"{_does(self.after)} it at {_at(self.after)}"
            )
        return (
            f"`{what}`: {other} {_does(self.between)} it at {_at(self.between)}, after {own} "
            f"{_did(self.before)} it at {_at(self.before)} and before {own} {_does(self.after)} it at {_at(self.after)}"
        )


def _does(access: Access) -> str:
    return "writes" if access.touch.writes else "reads"


def _did(access: Access) -> str:
    return "wrote" if access.touch.writes else "read"


def _at(access: Access) -> str:
    return f"{Path(access.line.filename).name}:{access.line.number}"


def conflicts_of(steps: Sequence[Step], actors: Mapping[Lane, Lane]) -> list[Conflict]:
    """Return the conflict that each forced switch made, as far as there is one, without repetition.

    Where none did, that of any lane which built on something that another had changed meanwhile.

    Args:
        steps: The steps of the schedule.
        actors: For lanes that carry messages, the lane of who sends them.
    """
    found: list[Conflict] = []
    for step in steps:
        if step.forced and step.instead_of is not None:
            conflict = _conflict(steps, step, actors.get(step.instead_of, step.instead_of))
            if conflict is not None and not any(_is_same(conflict, each) for each in found):
                found.append(conflict)
    if not found and (conflict := _broken(steps) or _broken(steps, first_reads=True)) is not None:
        found.append(conflict)
    return found


def _broken(steps: Sequence[Step], *, first_reads: bool = False) -> Conflict | None:
    """Return the last write that builds on a read, with another lane's write of the same thing between them.

    Args:
        steps: The steps of the schedule.
        first_reads: Take the first read of a lane instead of its last one, which may be in a part of a line that was
            not run.
    """
    last_reads: dict[tuple[Lane, Hashable], Access] = {}
    last_writes: dict[Hashable, Access] = {}
    found = None
    for access in _accesses(steps):
        read, write = last_reads.get((access.lane, access.place)), last_writes.get(access.place)
        if not access.touch.writes:
            if read is None or not first_reads:
                last_reads[access.lane, access.place] = access
            continue
        if read is not None and write is not None and write.lane is not access.lane and read.step < write.step:
            found = Conflict(write, access, read)
        last_writes[access.place] = access
    return found


def _conflict(steps: Sequence[Step], switch: Step, waiting: Lane) -> Conflict | None:
    """Return what happened to what *waiting* uses, while it waited because of *switch*."""
    resumed = next((step.number for step in steps[switch.number :] if step.lane is waiting), len(steps))
    between = list(_accesses(steps[switch.number : resumed]))
    after = [access for access in _accesses(steps[resumed:]) if access.lane is waiting]
    before = [access for access in _accesses(steps[: switch.number]) if access.lane is waiting]
    candidates = [
        Conflict(theirs, mine, _last(before, mine))
        for mine in after
        for theirs in reversed(between)
        if _conflicts(theirs, mine)
    ]
    return max(candidates, key=_weight, default=None)


def _weight(conflict: Conflict) -> tuple[bool, ...]:
    """Say how likely it is that *conflict* explains a failure: a check that has become untrue is the most likely."""
    before = conflict.before
    return (
        before is not None and not before.touch.writes and conflict.between.touch.writes,
        conflict.between.touch.writes,
        conflict.after.touch.writes,
        conflict.between.place == conflict.after.place,  # An item says more than the container that it is in.
    )


def _last(accesses: Sequence[Access], like: Access) -> Access | None:
    found = [each for each in reversed(accesses) if _is_one_place(each.place, like.place)]
    return next((each for each in found if each.place == like.place), found[0] if found else None)


def _conflicts(one: Access, other: Access) -> bool:
    return (one.touch.writes or other.touch.writes) and _is_one_place(one.place, other.place)


def _is_one_place(one: Hashable, other: Hashable) -> bool:
    if one == other:
        return True
    # A container as a whole and an item in it.
    return (
        isinstance(one, tuple)
        and isinstance(other, tuple)
        and {one[0], other[0]} == {"container", "item"}
        and one[1] == other[1]
    )


def _accesses(steps: Sequence[Step]) -> Iterator[Access]:
    for step in steps:
        for line in step.lines:
            for touch in line.touches:
                actor = step.actor or step.lane
                yield Access(actor, line, touch, step.number, None if actor is step.lane else step.lane)


def _is_same(one: Conflict, other: Conflict) -> bool:
    return (one.between.line, one.after.line) == (other.between.line, other.after.line)
