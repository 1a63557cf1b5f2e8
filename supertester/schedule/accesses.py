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
An owner that goes on by itself, because it has been busy, says with `follows` what was `now` when its message was put.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

from supertester.schedule.steps import Passing, Path, Step

__all__ = ["Accesses"]


class HasPath(Protocol):
    """A lane, as far as this module knows it."""

    @property
    def path(self) -> Path:
        """Its name."""


class Accesses:
    """Notes the steps of one run: the loop says what runs and why, objects say what is done to them.

    Attributes:
        steps: The steps so far; the last one may still be running.
        waiting: What was runnable when the run stopped: lanes with the causes of their next step.
        untracked: Descriptions of what was touched without being noted, as far as that was seen.
        cut: Whether the run was broken off, so that nothing is known of what it would have done.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.waiting: list[tuple[Path, tuple[int, ...]]] = []
        self.untracked: set[str] = set()
        self.cut = False
        self._epoch = 0
        self._early = False
        self._offered = False
        self._step = Step((), (), 0)  # For what is touched before the first step: no step can come before that.
        self._names: dict[int, Hashable] = {}
        self._named: list[object] = []  # Kept alive, or another object could get the number of a dead one.
        self._passing: dict[int, object] = {}
        self._counts: dict[Path, int] = {}
        self._commuting: object | None = None
        self._added: dict[Hashable, list[int]] = {}

    @property
    def now(self) -> tuple[int, ...]:
        """The causes of whatever the current step schedules: itself, and those that it counted with."""
        if self._commuting is not None:
            return tuple(self._added[self.name(self._commuting), None])
        return (len(self.steps) - 1,) if self.steps else ()

    def begin(self, lane: HasPath, causes: tuple[int, ...], *, is_fault: bool = False) -> None:
        """Begin a step of *lane*, which the steps *causes* made runnable, or offered."""
        self._commuting = None
        number = len(self.steps)
        self._step = step = Step(lane.path, tuple(cause for cause in causes if cause < number), self._epoch)
        step.reads.add(("lane", step.lane))
        step.early = self._early
        step.is_fault = is_fault
        self._early = self._offered = False
        self.steps.append(step)

    def advance(self, *, early: bool = False) -> None:
        """Note that virtual time moves on: every step before comes before every step after.

        Args:
            early: Others could have run; a fault made the next timer fire first.
        """
        self._epoch += 1
        self._early = early

    def interrupt(self, lane: HasPath) -> None:
        """Note that the current step cancelled, or tried to cancel, what *lane* does or is to do."""
        self._step.writes.add(("lane", lane.path))

    def scheduled(self, lane: HasPath) -> None:
        """Note that the current step put a callback at the end of the queue of *lane*: callbacks keep their order."""
        self._step.writes.add(("queue", lane.path))

    def resumed(self, lane: HasPath) -> None:
        """Note that the current step let the owner of *lane* go on, after what is in its queue already."""
        self._step.reads.add(("queue", lane.path))

    def cancelled(self, lane: HasPath, causes: tuple[int, ...]) -> None:
        """Note that the current step took away a step of *lane* that was runnable because of the steps *causes*."""
        self._step.disabled.append((lane.path, causes))

    def offer(self, *, anything: bool = False) -> None:
        """Note that the current step offered a fault, or one that changes *anything*, as letting time pass does."""
        self._offered = True
        self._step.alone |= anything

    def rest(self) -> None:
        """Note that the current step leaves nothing to run until time passes."""
        self._step.rests = True
        self._step.alone |= self._offered

    def stop(self) -> None:
        """Note that the run ends with the current step, whatever else may still run."""
        self._step.last = True

    def read(self, item: object, part: Hashable = None) -> None:
        """Note that the current step read *item*, or a *part* of it such as one attribute."""
        if self._commuting is None:  # Whoever counts last looks at what the others did, all of which came before.
            self._step.reads.add((self.name(item), part))

    def write(self, item: object, part: Hashable = None) -> None:
        """Note that the current step may have changed *item*, or a *part* of it."""
        if item is not self._commuting:
            self._step.writes.add((self.name(item), part))

    def add(self, item: object) -> None:
        """Note that the current step counts at *item*: whatever it makes runnable needed all that counted before.

        Who counts last is not told from who counts first. Until the step ends, all that is noted of *item* is this.
        """
        self._commuting = item
        key = (self.name(item), None)
        self._step.adds.add(key)
        self._added.setdefault(key, []).append(len(self.steps) - 1)

    def follows(self, causes: tuple[int, ...]) -> None:
        """Note that the current step could not have come before the steps *causes*, whatever made it runnable.

        It takes a message that one of them put into a mailbox, say. What *causes* were is `now` in such a step.
        """
        step = self._step
        step.causes = (*step.causes, *(cause for cause in causes if cause < len(self.steps) - 1))

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

    def note(self, key: Hashable, *, writes: bool) -> None:
        """Note that the current step used what *key* means in every run."""
        (self._step.writes if writes else self._step.reads).add(key)

    def note_part(self, item: object, part: Hashable, *, writes: bool) -> None:
        """Note that the current step used an attribute of *item*, or all of it, that nobody may have named."""
        name = self._names.get(id(item))
        key: Hashable
        if name is not None:
            key = (name, part)
        else:
            self._passing[id(item)] = item
            key = Passing((id(item), (type(item).__qualname__, part), part))
        step = self._step
        (step.writes if writes else step.reads).add(key)
        if writes:
            step.adds.add(("written", part))
        else:
            step.reads.add(("read", part))

    def note_unknown(self, part: Hashable, *, writes: bool) -> None:
        """Note that the current step used a *part* of an object that could be any."""
        step = self._step
        if writes:
            step.writes.update((("written", part), ("read", part)))
        else:
            step.reads.add(("written", part))

    def touch(self, item: object, *, changing: bool) -> None:
        """Note that the current step used *item*, which may have existed before the run did."""
        if id(item) not in self._names:
            # No run and no lane made it, as far as was seen. All such objects of a type count as one.
            self.call(("outside", type(item).__qualname__), item)
        if item is not self._commuting:
            (self._step.writes if changing else self._step.reads).add((self._names[id(item)], None))

    def call(self, name: Hashable, item: Any) -> None:
        """Give *item* this *name*; for what has one of its own, such as a task its lane."""
        self._names[id(item)] = name
        self._named.append(item)
