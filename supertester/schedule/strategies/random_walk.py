"""A random walk."""

from __future__ import annotations

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.sampler import Sampler

__all__ = ["RandomWalk"]


class RandomWalk(Sampler):
    """Run any of the lanes, each as likely as the others.

    Good at small programs and at those that poll. What needs many choices in a row to go one way, such as one task that
    is slower than 20 steps of another, it finds once in a million schedules.
    """

    name = "random"

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose any; a fault is a lane like the others."""
        return int(self._draw() * len(runnable))
