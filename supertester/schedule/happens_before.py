"""The partial order of a run: which step happens before which, which pairs race, and which runs are the same.

A step happens before a later one if it is of the same lane, made it runnable, came before virtual time moved on, or
conflicts with it, directly or over several steps. Two conflicting steps *race* if nothing else orders them: then the
later one could have run first (Flanagan and Godefroid, POPL'05; Abdulla, Aronis, Jonsson and Sagonas, POPL'14).

Sets of steps are whole numbers, one bit per step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from supertester.schedule.steps import Path, Step

__all__ = ["HappensBefore", "class_of"]


class HappensBefore:
    """The happens-before order of *steps*.

    Attributes:
        before: For each step the set of the steps that happen before it, itself included.
        races: For each step those earlier ones that race with it, latest first.
        direct: For each step those that it directly follows: in its lane, by cause or by conflict.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.before: list[int] = []
        self.races: list[list[int]] = []
        self.direct: list[list[int]] = []
        self._latest: dict[Path, int] = {}
        self._disabled: dict[Path, int] = {}
        self._writer: dict[Hashable, int] = {}
        self._readers: dict[Hashable, list[int]] = {}
        self._adders: dict[Hashable, list[int]] = {}
        self._faults: list[int] = []
        self._last: int | None = None
        self._epoch = self._past = 0
        for number, step in enumerate(steps):
            self._add(number, step)

    def _add(self, number: int, step: Step) -> None:
        if step.epoch != self._epoch:
            self._epoch = step.epoch
            if not step.early:
                self._past = (1 << number) - 1
        conflicts = sorted(self._conflicts(number, step), reverse=True)
        fixed = (self._latest.get(step.lane, -1), self._disabled.get(step.lane, -1), *step.causes)
        parents = sorted({parent for parent in fixed if parent >= 0})
        before = self._past
        for parent in parents:
            before |= self.before[parent]
        races = []
        for other in conflicts:
            if not before >> other & 1:
                races.append(other)
                before |= self.before[other]
        self.before.append(before | 1 << number)
        self.races.append(races)
        self.direct.append(parents + races)
        self._latest[step.lane] = number
        for lane, _ in step.disabled:
            self._disabled[lane] = number

    def _conflicts(self, number: int, step: Step) -> set[int]:
        """Return the earlier steps that conflict with this one, without those that come before another of them."""
        found = {self._last} if self._last is not None else set()
        writer, readers, adders = self._writer, self._readers, self._adders
        for keys, same, other in ((step.reads, readers, adders), (step.adds, adders, readers)):
            for key in keys:
                if key not in step.writes:
                    if key in writer:
                        found.add(writer[key])
                    found.update(other.get(key, ()))
                    same.setdefault(key, []).append(number)
        for key in step.writes:
            if key in writer:
                found.add(writer[key])
            found.update(readers.pop(key, ()))
            found.update(adders.pop(key, ()))
            writer[key] = number
        if step.is_fault:
            self._faults.append(number)
        if step.rests:
            found.update(self._faults)
        if step.is_alone:
            self._last = number
            found.update(range(number))
        found.discard(number)
        return found

    def reversal(self, first: int, second: int) -> list[Path]:
        """Return with which lanes a run can begin, before step *first*, that has *second* before *first*.

        These are the initials of POPL'14 of what came after *first* but not because of it, followed by *second*. The
        lane of *second* comes first if it is one of them.
        """
        after = [step for step in range(first + 1, second) if not self.before[step] >> first & 1]
        return self._initials([*after, second])

    def _initials(self, sequence: list[int]) -> list[Path]:
        within = sum(1 << step for step in sequence)
        found = [self.steps[step].lane for step in reversed(sequence) if self.before[step] & within == 1 << step]
        return list(dict.fromkeys(found))

    def names(self) -> Iterator[tuple[Path, int]]:
        """Yield for each step its lane and how manieth of that lane it is: what names it in every run."""
        counts: dict[Path, int] = {}
        for step in self.steps:
            counts[step.lane] = counts.get(step.lane, 0) + 1
            yield step.lane, counts[step.lane]


def class_of(steps: Sequence[Step]) -> int:
    """Return a number that is the same for two runs if they differ only in the order of steps that do not conflict.

    It is the same in every process, with every hash seed and on every Python of the same word size.
    """
    order = HappensBefore(steps)
    names = list(order.names())
    edges = (tuple(sorted(names[other] for other in others)) for others in order.direct)
    return hash(tuple(sorted(zip(names, edges, strict=True))))
