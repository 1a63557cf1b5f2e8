"""A random walk with inertia."""

from __future__ import annotations

import random
from typing import Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.sampler import Sampler

__all__ = ["INERTIAS", "Sticky"]

INERTIAS: Final = (0.0, 0.5, 0.8, 0.9)
"""How likely a lane goes on: 1 step at a time, or 2, 5 or 10 in the mean."""


class Sticky(Sampler):
    """Let the lane that ran go on with a probability, and else run any.

    Most bugs need few switches in the right places. Which probability is right depends on how long the tasks are, so
    each schedule draws its own.

    Args:
        inertias: The probabilities to draw from, each at least 0 and less than 1.
    """

    name = "sticky"

    def __init__(self, inertias: tuple[float, ...] = INERTIAS) -> None:
        self._inertias = inertias
        if len(inertias) == 1:
            self.name = f"sticky:{inertias[0]:g}"
        self._inertia = 0.0

    def begin(self, random: random.Random, number: int) -> bool:
        """Draw the probability of this schedule."""
        self._inertia = random.choice(self._inertias)
        return super().begin(random, number)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose the lane that ran, or any."""
        if runnable[-1].callback is None:
            return self.choose_with_faults(runnable, current)
        if current is not None and self._draw() < self._inertia:
            return runnable.index(current)
        return int(self._draw() * len(runnable))
