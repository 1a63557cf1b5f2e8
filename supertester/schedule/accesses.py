"""What each step of an explored run touched: the material of partial order reduction.

A step is one run of one lane between two awaits. Two steps of different lanes *conflict* if the order in which they
run can matter: both touched one object, and at least one of them wrote. What does not conflict commutes, so of all
the orders of such steps a single one needs to be run.

An object of any library reports by itself, without importing this module. It asks the running loop:

    accesses = getattr(loop, "accesses", None)   # None on every loop that does not explore with accesses
    if accesses is not None:
        accesses.write(self)                     # or read(self), or put(self) for a message put into a mailbox

Reports made between two steps belong to the step before. What is put into a mailbox is a write, so two puts conflict.
The owner's blocking receive reports nothing: it happens only after its put, because that is what made it runnable. For
this to be true, a receive must end the step also when there is a message already: every message is a step of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Protocol

__all__ = ["Accesses", "Path", "Step", "dependent"]

Path = tuple[int, ...]
"""What names a lane in every run: see `supertester.schedule.lanes.Lane`."""


class HasPath(Protocol):
    """A lane, as far as this module knows it."""

    @property
    def path(self) -> Path:
        """Its name."""


class Step:
    """One run of one lane, and what it touched.

    Attributes:
        lane: The path of the lane that ran.
        cause: The number of the step that made this one runnable; -1 if that was outside of all steps.
        epoch: How often virtual time had moved on before.
        reads: Keys of what it read.
        writes: Keys of what it wrote.
        disabled: Lanes whose next step this one took away (a cancelled callback), each with the cause of that step.
        last: Whether the run stopped with this step, whatever else could have run.
    """

    __slots__ = ("cause", "disabled", "epoch", "lane", "last", "reads", "writes")

    def __init__(self, lane: Path, cause: int, epoch: int) -> None:
        self.lane = lane
        self.cause = cause
        self.epoch = epoch
        self.reads: set[Hashable] = set()
        self.writes: set[Hashable] = set()
        self.disabled: list[tuple[Path, int]] = []
        self.last = False

    def __repr__(self) -> str:
        return f"<Step of {self.lane}: reads {sorted(map(str, self.reads))}, writes {sorted(map(str, self.writes))}>"


def dependent(one: Step, other: Step) -> bool:
    """Say whether the order of two steps of different lanes can matter."""
    return (
        not one.writes.isdisjoint(other.writes)
        or not one.writes.isdisjoint(other.reads)
        or not one.reads.isdisjoint(other.writes)
        or one.last
        or other.last
        or any(lane == other.lane for lane, _ in one.disabled)
        or any(lane == one.lane for lane, _ in other.disabled)
    )


class Accesses:
    """Notes the steps of one run. The loop calls `begin`, `caused`, `advance`, `cancelled` and `stop`.

    Attributes:
        steps: The steps so far; the last one may still be running.
        waiting: What was runnable when the run stopped: lanes with the cause of their next step.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.waiting: list[tuple[Path, int]] = []
        self._epoch = 0
        self._step = Step((), -1, 0)  # For what is touched before the first step: no step can come before that.
        self._names: dict[int, Hashable] = {}
        self._named: list[object] = []  # Kept alive, or another object could get the number of a dead one.
        self._counts: dict[Path, int] = {}

    @property
    def now(self) -> int:
        """The number of the current step: the cause of whatever it schedules. -1 before the first step."""
        return len(self.steps) - 1

    def begin(self, lane: HasPath, cause: int) -> None:
        """Begin a step of *lane*, which step number *cause* made runnable."""
        self._step = Step(lane.path, cause, self._epoch)
        self.steps.append(self._step)

    def advance(self) -> None:
        """Note that virtual time moves on: every step before comes before every step after."""
        self._epoch += 1

    def scheduled(self, lane: HasPath) -> None:
        """Note that the current step put a callback at the end of the queue of *lane*, an existing lane of another."""
        self._step.writes.add(("queue", lane.path))

    def cancelled(self, lane: HasPath, cause: int) -> None:
        """Note that the current step took away a step of *lane* that was runnable because of step *cause*."""
        self._step.disabled.append((lane.path, cause))

    def stop(self, waiting: Iterable[tuple[HasPath, int]]) -> None:
        """Note that the current step ended the run, with the lanes in *waiting* (maybe none) still runnable."""
        self._step.last = True
        self.waiting = [(lane.path, cause) for lane, cause in waiting]

    def read(self, item: object, part: Hashable = None) -> None:
        """Note that the current step read *item*, or a *part* of it such as one attribute."""
        self._step.reads.add((self.name(item), part))

    def write(self, item: object, part: Hashable = None) -> None:
        """Note that the current step may have changed *item*, or a *part* of it."""
        self._step.writes.add((self.name(item), part))

    put = write
    """Note that the current step put a message into the mailbox *item*."""

    def name(self, item: object) -> Hashable:
        """Return a name for *item* that means the same object in every run: its creating lane, and how manieth there.

        So an object has to be named, or first touched, where it is created: the order of first touches from several
        lanes is not the same in all runs.
        """
        name = self._names.get(id(item))
        if name is None:
            lane = self._step.lane
            number = self._counts[lane] = self._counts.get(lane, 0) + 1
            name = self._names[id(item)] = (lane, number)
            self._named.append(item)
        return name

    def knows(self, item: object) -> bool:
        """Say whether *item* has a name already."""
        return id(item) in self._names

    def call(self, name: Hashable, item: Any) -> None:
        """Give *item* this *name*; for what has one of its own, such as a task its lane."""
        self._names[id(item)] = name
        self._named.append(item)
