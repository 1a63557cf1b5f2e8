"""`Sampler`: strategies that draw each schedule at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy

__all__ = ["PATIENCE", "Sampler"]

PATIENCE: Final = 100
"""How many steps of each lane that can run somebody may be passed over. Then those that run may well be polling for
what it would do."""

_FAULTS: Final = 1 / 16
"""How often a fault is chosen where one is on offer; `FaultMoments` knows better when."""


class Sampler(Strategy):
    """Draws schedules; there is always another one.

    A subclass has its own ``choose``, which leaves choices with faults to `choose_with_faults`: a fault on offer has no
    callback, and is the last of all.
    """

    _random: random.Random
    _draw: Callable[[], float]

    def begin(self, random: random.Random, number: int) -> bool:
        """Draw from *random*."""
        self._random = random
        self._draw = random.random
        return True

    def choose_with_faults(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose one of the faults at the end of *runnable*, seldom, or else one of the lanes before them."""
        ordinary = [lane for lane in runnable if lane.callback is not None]
        faults = len(runnable) - len(ordinary)
        if self._draw() < _FAULTS:
            return len(ordinary) + int(self._draw() * faults)
        return self.choose(ordinary, current) if len(ordinary) > 1 else 0
