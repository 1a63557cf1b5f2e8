"""How much of what a program can do its schedules have shown."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from supertester.schedule.happens_before import class_of
from supertester.schedule.lanes import Lane
from supertester.schedule.steps import Step

__all__ = ["MOST", "Coverage", "CoverageCounter"]

MOST: Final = 10_000
"""So many schedules are counted; more would hardly change the estimate."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many schedules were different, and how likely the next one would be one of them.

    Attributes:
        counted: How many schedules were looked at: the first `MOST` of them.
        distinct: How many of those were different.
        classes: How many differ in more than the order of steps that have nothing to do with each other, where what the
            steps touch was noted; otherwise ``None``.
        once: How many of those (classes, or else schedules) have been seen a single time.
        preemptions: All schedules with at most so many preemptions have been run, by the strategy ``bounded``.
        systematic: Whether the strategy makes no schedule twice, so that nothing can be estimated.
    """

    counted: int
    distinct: int
    classes: int | None = None
    once: int = 0
    preemptions: int | None = None
    systematic: bool = False

    @property
    def saturation(self) -> float | None:
        """The probability that the next schedule is one that was seen, from 0 to 1; ``None`` if there is no estimate.

        It is one less the share of those seen once: Good, "The population frequencies of species and the estimation of
        population parameters", Biometrika 1953. It speaks of what this strategy draws, and not of all that can happen:
        what it hardly ever draws hardly counts.
        """
        return None if self.systematic or not self.counted else 1 - self.once / self.counted

    def __str__(self) -> str:
        among = f" among {self.counted}" if self.counted != self.distinct else ""
        parts = [f"{self.distinct} different schedule{'s' * (self.distinct != 1)}{among}"]
        if self.classes is not None:
            parts.append(f"{self.classes} in more than the order of unrelated steps")
        if self.saturation is not None:
            parts.append(f"another would have been new with a probability of {1 - self.saturation:.1%}")
        if self.preemptions is not None:
            parts.append(f"all with at most {self.preemptions} preemption{'s' * (self.preemptions != 1)} were run")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "counted": self.counted,
            "distinct": self.distinct,
            "classes": self.classes,
            "saturation": self.saturation,
            "preemptions": self.preemptions,
        }


class CoverageCounter:
    """Counts schedules.

    >>> counter = CoverageCounter()
    >>> for choices in ([], [], []):
    ...     counter.note(choices)
    >>> str(counter.coverage())
    '1 different schedule among 3, another would have been new with a probability of 0.0%'
    """

    def __init__(self) -> None:
        self._counted = 0
        self._schedules: dict[Hashable, int] = {}
        self._classes: dict[Hashable, int] = {}

    def note(self, choices: Sequence[tuple[int, Lane]], steps: Sequence[Step] | None = None) -> None:
        """Count one schedule.

        Args:
            choices: The number of lanes to choose from and the lane chosen, for each choice.
            steps: What each step touched, if that was noted.
        """
        if self._counted == MOST:
            return
        self._counted += 1
        schedules = self._schedules
        key = hash(tuple([lane.path for _, lane in choices]))
        schedules[key] = schedules.get(key, 0) + 1
        if steps is not None:
            kind = class_of(steps)
            self._classes[kind] = self._classes.get(kind, 0) + 1

    def coverage(self, *, preemptions: int | None = None, systematic: bool = False) -> Coverage:
        """Return what has been counted."""
        species = self._classes or self._schedules
        return Coverage(
            counted=self._counted,
            distinct=len(self._schedules),
            classes=len(self._classes) if self._classes else None,
            once=sum(times == 1 for times in species.values()),
            preemptions=preemptions,
            systematic=systematic,
        )
