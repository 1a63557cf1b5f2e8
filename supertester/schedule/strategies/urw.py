"""A random walk that is uniform over interleavings."""

from __future__ import annotations

from typing import Any, Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.sampler import Sampler

__all__ = ["LESSONS", "Urw"]

LESSONS: Final = 200
"""Schedules to learn from."""

Path = tuple[int, ...]


class Urw(Sampler):
    """Run each lane as likely as it has steps left, so that all interleavings are about as likely.

    Where two steps of one task run against fifty of another, a plain random walk nearly always has the two among the
    first four. How many steps a lane has, and those that it starts, is learnt from the first schedules. This is the
    uniform random walk of Zhao, Wolff, Mathur and Roychoudhury, "Selectively uniform concurrency testing", ASPLOS'25.
    """

    name = "urw"

    def __init__(self) -> None:
        self._own: dict[Path, int] = {}
        self._whole: dict[Path, int] = {}
        self._lessons = 0

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose by what is left."""
        if runnable[-1].callback is None:
            return self.choose_with_faults(runnable, current)
        total = 0
        for lane in runnable:
            left = lane.mark
            if left is None:
                left = self._first_seen(lane)
            total += left
        point = self._draw() * total
        for index, lane in enumerate(runnable):  # noqa: B007
            point -= lane.mark
            if point < 0:
                break
        if lane.mark > 1:
            lane.mark -= 1
        return index

    def _first_seen(self, lane: Lane) -> int:
        """Note how many steps *lane* has left, and take them from what was left of the lane that made it."""
        left = lane.mark = self._whole.get(lane.path, 1)
        parent = lane.parent
        if parent is not None and parent.mark is not None:
            parent.mark = max(1, parent.mark - left)
        return left

    def end(self, run: Any) -> None:
        """Learn how many steps each lane has: the most that were seen, as it does not choose where it runs alone.

        This ends, because whoever polls would get longer and longer: who has many steps left runs, and who runs polls.
        """
        if self._lessons == LESSONS:
            return
        self._lessons += 1
        counts: dict[Path, int] = {}
        for _, lane in run.choices:
            path = lane.path
            counts[path] = counts.get(path, 0) + 1
        longer = {path: count for path, count in counts.items() if count > self._own.get(path, 0)}
        if longer:
            self._own.update(longer)
            self._whole = _with_children(self._own)


def _with_children(own: dict[Path, int]) -> dict[Path, int]:
    """Return for each lane its own steps and those of all that stem from it."""
    whole: dict[Path, int] = {}
    for path, count in own.items():
        for length in range(1, len(path) + 1):
            whole[path[:length]] = whole.get(path[:length], 0) + count
    return whole
