"""Probabilistic concurrency testing."""

from __future__ import annotations

import random
from typing import Any, Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.sampler import PATIENCE, Sampler

__all__ = ["DEPTHS", "Pct"]

DEPTHS: Final = (2, 3, 5)
"""What a schedule draws its depth from if none is given."""
_GUESS: Final = 20
"""Choices of a schedule, until one has been seen."""
_SHORTER: Final = 0.98


class Pct(Sampler):
    """Give each lane a random priority, run the highest, and let it fall below all others at a few random moments.

    A bug that needs *d* steps in a certain order is found in each schedule with a probability of at least
    1/(n·k^(d-1)), for n lanes and k choices: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler
    with probabilistic guarantees of finding bugs", ASPLOS'10. How long a schedule is it learns from those before. When
    somebody has been passed over for very long, those who run fall too, as they may poll for what it does.

    Args:
        depth: The number d: one more than there are moments. By default each schedule draws one of `DEPTHS`.
    """

    name = "pct"

    def __init__(self, depth: int | None = None) -> None:
        self._depths = DEPTHS if depth is None else (depth,)
        if depth is not None:
            self.name = f"pct:{depth}"
        self._length = 0.0
        self._count = 0
        self._changes: set[int] = set()
        self._lowest = 0.0

    def begin(self, random: random.Random, number: int) -> bool:
        """Draw the moments."""
        length = int(self._length) or _GUESS
        self._changes = {random.randrange(length) for _ in range(random.choice(self._depths) - 1)}
        self._count = 0
        self._lowest = 0.0
        return super().begin(random, number)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose the lane with the highest priority, after it fell if this is one of the moments."""
        youngest = runnable[-1]
        if youngest.callback is None:
            return self.choose_with_faults(runnable, current)
        chosen = self._highest(runnable)
        if self._count in self._changes or youngest.age - runnable[0].age > PATIENCE * len(runnable):
            self._lowest -= 1.0
            runnable[chosen].mark = self._lowest
            chosen = self._highest(runnable)
        self._count += 1
        return chosen

    def _highest(self, runnable: list[Lane]) -> int:
        chosen, highest = 0, None
        for index, lane in enumerate(runnable):
            mark = lane.mark
            if mark is None:
                mark = lane.mark = self._draw()
            if highest is None or mark > highest:
                chosen, highest = index, mark
        return chosen

    def end(self, run: Any) -> None:
        """Learn how many choices a schedule has; of late, because a single long one says little."""
        self._length = max(self._length * _SHORTER, len(run.choices), 2.0)
