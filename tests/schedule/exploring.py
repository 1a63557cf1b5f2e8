"""What tests of the exploring loop share."""

from __future__ import annotations

import random
from typing import Any

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Fifo, Strategy

__all__ = ["SECOND", "Anyhow", "Last", "Scripted", "explored", "explored_anyhow"]

SECOND = 1
"""In virtual time, in which nobody waits."""


class Last(Strategy):
    """Runs the newest, or a fault."""

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        return len(runnable) - 1


class Anyhow(Strategy):
    """Runs any."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        return self._random.randrange(len(runnable))


class Scripted(Strategy):
    """Runs the lanes that have one of the given labels, in that order, as soon as they can run; else the oldest.

    Attributes:
        offered: The labels that there were to choose from, for each choice.
        currents: The label of the lane that could have gone on, or `None`, for each choice.
    """

    def __init__(self, *labels: str) -> None:
        self._labels = list(labels)
        self.offered: list[list[str]] = []
        self.currents: list[str | None] = []

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        labels = [lane.label for lane in runnable]
        self.offered.append(labels)
        self.currents.append(None if current is None else current.label)
        if self._labels and self._labels[0] in labels:
            return labels.index(self._labels.pop(0))
        return 0


def explored(main: Any, strategy: Strategy | None = None, **options: Any) -> Any:
    """Run *main* as one schedule."""
    return ExploringLoop(strategy or Fifo(), **options).run(main)


def explored_anyhow(make: Any, schedules: int = 50, **options: Any) -> list[Any]:
    """Return what came of each of some schedules of *make*, exceptions included."""
    found = []
    for seed in range(schedules):
        try:
            found.append(explored(make(), Anyhow(seed), **options))
        except Exception as error:  # noqa: BLE001 part of what came of it
            found.append(error)
    return found
