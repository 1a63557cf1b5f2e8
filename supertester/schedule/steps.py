"""`Step`: one run of one lane between two awaits, and when the order of two of them can matter."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Passing", "Path", "Step", "dependent"]

Path = tuple[int, ...]
"""What names a lane in every run: see `supertester.schedule.lanes.Lane`."""


class Step:
    """One run of one lane, and what it touched.

    Attributes:
        lane: The path of the lane that ran.
        causes: The numbers of the steps that made this one runnable: none if that was outside of all steps, several if
            the last of several did, whichever came last.
        epoch: How often virtual time had moved on before.
        reads: Keys of what it read.
        writes: Keys of what it wrote.
        adds: Keys of what it changed in a way that commutes with itself, as counting does.
        disabled: Lanes whose next step this one took away (a cancelled callback), each with the cause of that step.
        last: Whether the program came to its end in this step, whatever else could have run.
        early: Whether time was made to pass for this step although others could run.
        is_fault: Whether it is one that was only offered.
        rests: Whether nothing was left to run after it, until time passes: then no fault can come before that, either.
        alone: Whether it conflicts with every step because it made a fault possible of which no more can be said.
    """

    __slots__ = (
        "_stable",
        "adds",
        "alone",
        "causes",
        "disabled",
        "early",
        "epoch",
        "is_fault",
        "lane",
        "last",
        "reads",
        "rests",
        "writes",
    )

    def __init__(self, lane: Path, causes: tuple[int, ...], epoch: int) -> None:
        self.lane = lane
        self.causes = causes
        self.epoch = epoch
        self.reads: set[Hashable] = set()
        self.writes: set[Hashable] = set()
        self.adds: set[Hashable] = set()
        self.disabled: list[tuple[Path, tuple[int, ...]]] = []
        self.last = False
        self.early = False
        self.is_fault = False
        self.rests = False
        self.alone = False
        self._stable: _Keys | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it conflicts with every other step.

        The end of the program does: what had run until then is what the run was. So does a change of time that could
        have come later.
        """
        return self.last or self.alone or self.early

    @property
    def stable(self) -> _Keys:
        """What it read, wrote and added to, by keys that mean the same in every run; asked for when it is over."""
        if self._stable is None:
            self._stable = tuple(map(_stable, (self.reads, self.writes, self.adds)))
        return self._stable

    def __repr__(self) -> str:
        return f"<Step of {self.lane}: reads {sorted(map(str, self.reads))}, writes {sorted(map(str, self.writes))}>"


class Passing(tuple[Hashable, ...]):
    """A key that means something in one run only, with another, for all of its kind, that means it in every run."""

    __slots__ = ()


_Keys = tuple[set[Hashable], ...]


def _stable(keys: set[Hashable]) -> set[Hashable]:
    if any(isinstance(key, Passing) for key in keys):
        return {key[1] if isinstance(key, Passing) else key for key in keys}
    return keys


def dependent(one: Step, other: Step) -> bool:
    """Say whether the order of two steps of different lanes, maybe of different runs, can matter."""
    reads, writes, adds = one.stable
    other_reads, other_writes, other_adds = other.stable
    return (
        not writes.isdisjoint(other_writes)
        or not writes.isdisjoint(other_reads)
        or not reads.isdisjoint(other_writes)
        or bool(adds and not (adds.isdisjoint(other_reads) and adds.isdisjoint(other_writes)))
        or bool(other_adds and not (other_adds.isdisjoint(reads) and other_adds.isdisjoint(writes)))
        or one.is_alone
        or other.is_alone
        or (one.rests and other.is_fault)
        or (other.rests and one.is_fault)
        or any(lane == other.lane for lane, _ in one.disabled)
        or any(lane == one.lane for lane, _ in other.disabled)
    )
