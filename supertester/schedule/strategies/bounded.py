"""All schedules, those with few preemptions first."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from typing import Any, Final

from supertester.errors import UsageError
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy

__all__ = ["PATIENCE", "Bounded"]

PATIENCE: Final = 100
"""How often in a row a lane may run while others wait: then it may well be waiting for them."""


class _Tried:
    """A schedule that was run, and what else could have been chosen in it.

    Attributes:
        choices: What was chosen at each choice.
        free: How many lanes could have been chosen there without a preemption, from 0.
        width: How many could have been chosen in all.
        begin: The first choice whose alternatives belong to this schedule; those before belong to another one.
    """

    __slots__ = ("begin", "choices", "free", "width")

    def __init__(self, begin: int) -> None:
        self.choices = array("H")
        self.free = array("H")
        self.width = array("H")
        self.begin = begin

    def others(self, *, preempting: bool) -> Iterator[array[int]]:
        """Yield the beginnings of other schedules, which differ in their last choice; the longest first."""
        for at in range(len(self.choices) - 1, self.begin - 1, -1):
            free, chosen = self.free[at], self.choices[at]
            for other in range(free, self.width[at]) if preempting else range(free):
                if other != chosen:
                    yield array("H", [*self.choices[:at], other])


class Bounded(Strategy):
    """Run all schedules without a preemption, then all with one, with two, and so on, each exactly once.

    A lane runs until it waits; to run another one before is a *preemption*, and so is a fault. Which lane runs after
    one that waits is free. Most bugs need one or two preemptions (Musuvathi and Qadeer, "Iterative context bounding",
    PLDI'07; Thomson, Donaldson and Betts, PPoPP'14), and when `bound` has become 3, there is none that needs two. When
    a lane has gone on for `PATIENCE` choices, the one that waited for longest runs, as the first may poll for what the
    others do.

    What it needs to go on takes about a kilobyte for each schedule that was run.

    Args:
        most: The most preemptions; ``None`` for no limit.

    Attributes:
        bound: How many preemptions the current schedules have; all with fewer have been run.
        exhausted: Whether all schedules have been run, with any number of preemptions.
    """

    name = "bounded"
    is_systematic = True

    def __init__(self, most: int | None = None) -> None:
        if most is not None:
            self.name = f"bounded:{most}"
        self._most = most
        self.bound = 0
        self.exhausted = False
        self._open: list[Iterator[array[int]]] = []
        self._next: list[_Tried] = []
        self._beginning = array("H")
        self._current = _Tried(0)
        self._row = 0
        self._started = False
        self._is_over = False

    @property
    def preemptions(self) -> int | None:
        """All schedules with at most so many preemptions have been run; ``None`` if not even all without one."""
        done = self.bound if self._is_over else self.bound - 1
        return done if done >= 0 else None

    def begin(self, random: random.Random, number: int) -> bool:
        """Find the next beginning; ``False`` if there is none."""
        if self._started and not self._found_next():
            self._is_over = True
            return False
        self._started = True
        self._current = _Tried(len(self._beginning))
        self._row = 0
        return True

    def _found_next(self) -> bool:
        while True:
            while self._open:
                beginning = next(self._open[-1], None)
                if beginning is not None:
                    self._beginning = beginning
                    return True
                self._open.pop()
            if not self._next:
                self.exhausted = True
                return False
            if self.bound == self._most:
                self.exhausted = not any(any(True for _ in tried.others(preempting=True)) for tried in self._next)
                return False
            self.bound += 1
            self._open = [tried.others(preempting=True) for tried in reversed(self._next)]
            self._next = []

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose as the beginning says, and then the lane that ran, or else the one that waits for longest."""
        tried = self._current
        width = len(runnable)
        at = len(tried.choices)
        self._row = self._row + 1 if current is not None else 0
        if current is None:
            chosen, free = 0, _ordinary(runnable)
        elif self._row > PATIENCE:
            chosen, free, self._row = 0, 0, 0
        else:
            chosen, free = runnable.index(current), 0
        if at < tried.begin:
            chosen = self._beginning[at]
            if chosen >= width:
                raise UsageError(_DIVERGED.format(at=at + 1, chosen=chosen + 1, width=width))
        if current is not None and runnable[chosen] is not current:
            self._row = 0
        tried.choices.append(chosen)
        tried.free.append(free)
        tried.width.append(width)
        return chosen

    def end(self, run: Any) -> None:
        """Keep what else could have been chosen."""
        self._open.append(self._current.others(preempting=False))
        self._next.append(self._current)


def _ordinary(runnable: list[Lane]) -> int:
    """Return how many lanes are before the faults on offer, which have no callback."""
    count = len(runnable)
    while runnable[count - 1].callback is None:
        count -= 1
    return count


_DIVERGED = (
    "the explored test is not deterministic: at choice {at} the lane number {chosen} ran before, and now there are "
    "{width} to choose from. Does it depend on the time, on the order of a set, or on what earlier runs left behind?"
)
