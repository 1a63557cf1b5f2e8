"""When faults happen: at moments spread over the whole schedule, and not as soon as they can."""

from __future__ import annotations

import random
from typing import Any, Final

from supertester.schedule.faults import kind_of
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy

__all__ = ["FaultMoments"]

_GUESS: Final = 20
"""Choices of a schedule, until one has been seen."""


class FaultMoments(Strategy):
    """Lets another strategy choose between what is runnable, and faults happen at moments drawn beforehand.

    A fault on offer is one lane among few, and on offer at every step. A strategy that took it for a lane like any
    other would let it happen at once in nearly every schedule, and never towards the end. So before a schedule begins
    it is drawn how many faults it gets, of which kinds and at which of its choices, as PCT does with its priority
    changes (Burckhardt et al., ASPLOS'10). The first schedule has none: it shows how many choices there are.

    Args:
        inner: The strategy for everything else.
        budgets: How often each kind may happen.
    """

    def __init__(self, inner: Strategy, budgets: dict[str, int]) -> None:
        self._inner = inner
        self.name = inner.name
        self._budgets = budgets
        self._random = random.Random(0)
        self._length = 0
        self._count = 0
        self._plan: list[tuple[int, str]] = []

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin as the other strategy does, and draw the moments."""
        self._random = random
        self._length = max(self._length, self._count)
        self._count = 0
        self._plan = self._drawn() if number else []
        begun = self._inner.begin(random, number)
        self.name = self._inner.name  # A portfolio has that of its member.
        return begun

    def _drawn(self) -> list[tuple[int, str]]:
        kinds = [kind for kind, count in self._budgets.items() for _ in range(count)]
        chosen = self._random.sample(kinds, self._random.randint(1, len(kinds)))
        return sorted((self._random.randrange(self._length or _GUESS), kind) for kind in chosen)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose a fault if it is time for one that is on offer, else let the other strategy choose."""
        ordinary = len(runnable)
        while ordinary and runnable[ordinary - 1].kind == "fault":
            ordinary -= 1
        self._count += 1
        if self._plan and self._plan[0][0] < self._count:
            for moment in [moment for moment in self._plan if moment[0] < self._count]:
                lanes = [index for index in range(ordinary, len(runnable)) if kind_of(runnable[index]) == moment[1]]
                if lanes:
                    self._plan.remove(moment)
                    return self._random.choice(lanes)
        if ordinary < 2:
            return 0
        return self._inner.choose(runnable[:ordinary], current)

    def created(self, lane: Lane, parent: Lane | None) -> None:
        """Tell the other strategy."""
        self._inner.created(lane, parent)

    def end(self, run: Any) -> None:
        """Tell the other strategy."""
        self._inner.end(run)
