"""Partial order sampling."""

from __future__ import annotations

import random

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.sampler import PATIENCE, Sampler

__all__ = ["Pos"]


class Pos(Sampler):
    """Give each step a random priority as soon as it can run, keep it until it has run, and run the highest.

    A step with a low priority stays behind for long, so schedules in which somebody is slow are as likely as those in
    which all go at the same pace. It needs no length of the program and no number of tasks. This is the basic form of
    Yuan, Yang and Gu, "Partial order aware concurrency sampling", CAV'18, in which priorities are not drawn anew after
    a race. But those of steps that have been passed over for very long are, together with all others.
    """

    name = "pos"

    def begin(self, random: random.Random, number: int) -> bool:
        """Forget the priorities of the schedule before."""
        self._priorities: dict[int, float] = {}
        self._drawn_at = 0
        return super().begin(random, number)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose the lane whose next step has the highest priority."""
        youngest = runnable[-1]
        if youngest.callback is None:
            return self.choose_with_faults(runnable, current)
        priorities = self._priorities
        if youngest.age - self._drawn_at > PATIENCE * len(runnable):
            if runnable[0].age < self._drawn_at:
                priorities.clear()
            self._drawn_at = youngest.age
        chosen, highest = 0, -1.0
        for index, lane in enumerate(runnable):
            age = lane.age  # names the step
            if age in priorities:
                priority = priorities[age]
            else:
                priority = priorities[age] = self._priority(lane, runnable)
            if priority > highest:
                chosen, highest = index, priority
        return chosen

    def _priority(self, lane: Lane, runnable: list[Lane]) -> float:
        return self._draw()
