"""Measuring: figures, their subjects side by side, and what several rounds of them say.

A machine's speed drifts, so every round measures every subject once, each sample beside its reference, and what is
compared are ratios within a round. A figure is the median over the rounds; the quartiles say how far to trust it.
"""

from __future__ import annotations

import enum
import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Compared", "Figure", "Measured", "Spread", "Subject", "Verdict", "measure"]


class Compared(enum.Enum):
    """How a subject compares with the reference, and which direction is good."""

    SPEED = "times as fast"
    COST = "times the cost"
    ADDED = "more"
    ALONE = "in all"

    def between(self, reference: float, own: float) -> float:
        """Compare one sample of a subject with the reference's in the same round."""
        match self:
            case Compared.SPEED:
                return reference / own
            case Compared.COST:
                return own / reference
            case Compared.ADDED:
                return own - reference
            case Compared.ALONE:
                return own

    def good(self, value: float, goal: float) -> bool:
        """Say whether *value* reaches *goal*."""
        return value >= goal if self is Compared.SPEED else value <= goal


class Verdict(enum.Enum):
    """What the rounds say about a goal; unsure when the goal lies between their quartiles."""

    MET = "met"
    MISSED = "missed"
    UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something to measure: ``run(units)`` does so many units of work and returns what one unit cost.

    With *repeat*, a sample is the mean of several runs, so that little work is not measured alone. A subject that is
    *named_by_units* has its name from the amount of its work.
    """

    name: str
    run: Callable[[int], float]
    units: int
    repeat: int = 1
    goal: float | None = None
    named_by_units: bool = False

    def sample(self) -> float:
        """Measure once."""
        return statistics.fmean(self.run(self.units) for _ in range(self.repeat))

    def smaller(self, by: int) -> Subject:
        """Return the same with less work."""
        units = max(1, self.units // by)
        name = f"{units:,}" if self.named_by_units else self.name
        return replace(self, name=name, units=units, repeat=max(1, self.repeat // by))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A row of the table: subjects that do the same work, and the one that the others are compared with.

    Without its reference, which may need what this machine lacks, a figure still shows what each unit cost.
    """

    name: str
    title: str
    unit: str
    subjects: Sequence[Subject]
    reference: str
    compared: Compared = Compared.SPEED
    quantity: str = "seconds"

    def smaller(self, by: int) -> Figure:
        """Return the same with less work for each subject."""
        made = {subject.name: subject.smaller(by) for subject in self.subjects}
        reference = made[self.reference].name if self.reference in made else self.reference
        return replace(self, subjects=list(made.values()), reference=reference)


@dataclass(frozen=True)
class Spread:
    """The median of some samples, and their quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Summarise *samples*, of which there is at least one."""
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(low, median, high)

    @property
    def share(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass(frozen=True)
class Measured:
    """A figure and its samples, round by round, by the subject's name."""

    figure: Figure
    samples: Mapping[str, list[float]] = field(default_factory=dict)

    def cost(self, subject: str) -> Spread:
        """Return what a unit costs."""
        return Spread.of(self.samples[subject])

    def comparison(self, subject: str) -> Spread | None:
        """Return how *subject* compares with the reference; ``None`` if that was not measured."""
        compared = self.figure.compared
        reference = self.samples.get(self.figure.reference)
        if reference is None or (subject == self.figure.reference and compared is not Compared.ALONE):
            return None
        return Spread.of(
            [compared.between(one, other) for one, other in zip(reference, self.samples[subject], strict=True)]
        )

    def verdict(self, subject: Subject) -> Verdict | None:
        """Say whether *subject* reaches its goal; ``None`` if it has none, or nothing to compare with."""
        found = self.comparison(subject.name)
        if subject.goal is None or found is None:
            return None
        reached = {self.figure.compared.good(value, subject.goal) for value in (found.low, found.high)}
        if len(reached) == 2:
            return Verdict.UNSURE
        return Verdict.MET if reached == {True} else Verdict.MISSED


def measure(figure: Figure, rounds: int, *, before_each: Callable[[], object] = gc.collect) -> Measured:
    """Measure each subject of *figure* once per round, every second round in reverse order.

    *before_each* sample comes what none of them is to pay for: the garbage of the one before.
    """
    samples: dict[str, list[float]] = {subject.name: [] for subject in figure.subjects}
    for number in range(rounds):
        for subject in figure.subjects if number % 2 == 0 else reversed(figure.subjects):
            before_each()
            samples[subject.name].append(subject.sample())
    return Measured(figure, samples)
