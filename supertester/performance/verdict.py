"""Verdicts with three values on what is noisy: within the limit, over it, or not to be told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.performance.statistics import CONFIDENCE, Interval, median_interval

__all__ = [
    "Disturbance",
    "InconclusiveWarning",
    "Judged",
    "Rounds",
    "Verdict",
    "cautious",
    "judge",
    "looks",
    "overall",
    "reference_work",
]


class Verdict(StrEnum):
    """What the evidence says about a limit."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class InconclusiveWarning(UserWarning):
    """A limit could not be told from what was measured, and the test wanted to be warned rather than skipped."""


@dataclass(frozen=True)
class Judged:
    """A verdict and its evidence.

    Attributes:
        verdict: One of `Verdict`.
        evidence: What it rests on, a line for each thing that was looked at.
        result: What the operation returned the last time it ran.
        details: The numbers behind the evidence, by name.
    """

    verdict: Verdict
    evidence: tuple[str, ...]
    result: Any = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def mismatch(self) -> Mismatch | None:
        """What to fail with; ``None`` unless the verdict is ``fail``."""
        return Mismatch("\n".join(self.evidence)) if self.verdict is Verdict.FAIL else None

    @property
    def reason(self) -> str:
        """The evidence in one line."""
        return f"{self.verdict}: {'; '.join(self.evidence)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "verdict": self.verdict.value,
            "evidence": list(self.evidence),
            "result": shown(self.result),
            "details": self.details,
        }


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of *verdicts*: a failure, else doubt."""
    found = set(verdicts)
    for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if worst in found:
            return worst
    return Verdict.PASS


def judge(interval: Interval, limit: float, *, slowdown: float = 1.0) -> Verdict:
    """Say whether what *interval* describes is at most *limit*.

    It is over the limit only if the whole interval is, and would still be on a machine that is not disturbed.

    Args:
        interval: What was measured.
        limit: In the same unit.
        slowdown: How many times slower than at its best the machine was meanwhile.
    """
    if interval.high <= limit:
        return Verdict.PASS
    if interval.low / max(slowdown, 1.0) > limit:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often to measure.

    Attributes:
        warmup: Runs before the first that counts.
        first: Rounds before the first look.
        most: Rounds after which a limit that still lies within the interval stays undecided.
        seconds: After how long to stop. With slow operations there may be less than the first rounds then, but at
            least three; the interval is widened by its own width on either side to make up for it.
    """

    warmup: int = 1
    first: int = 10
    most: int = 80
    seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("warmup", "first", "most"):
            value, least = getattr(self, name), 0 if name == "warmup" else 1
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number of rounds, got {name}={value!r}")
            if value < least:
                raise UsageError(f"{name} must be {least} or more rounds, got {name}={value!r}")
        if self.most < self.first:
            raise UsageError(f"most={self.most!r} rounds are fewer than the first {self.first!r}; give more")


def checked_rounds(rounds: Any, default: Rounds) -> Rounds:
    """Return *rounds*, or *default* where there are none.

    Raises:
        TypeError: They are no `Rounds`.
    """
    if rounds is None:
        return default
    if not isinstance(rounds, Rounds):
        raise TypeError(f"rounds must be Rounds(...), such as Rounds(most=20), got rounds={rounds!r}")
    return rounds


def looks(rounds: Rounds) -> Iterator[int]:
    """Yield after how many rounds to look: twice as many each time.

    A few looks, because each is another chance to be wrong.

    >>> list(looks(Rounds(first=10, most=50)))
    [10, 20, 40, 50]
    """
    count = rounds.first
    yield count
    while count < rounds.most:
        count = min(2 * count, rounds.most)
        yield count


def cautious(interval: Interval) -> Interval:
    """Return *interval*, widened by its own width on either side if it rests on too few samples."""
    if interval.confidence >= CONFIDENCE:
        return interval
    width = interval.high - interval.low
    return replace(interval, low=interval.low - width, high=interval.high + width)


_WORK: Final = 2_000


def reference_work() -> int:
    """Compute the same for about a tenth of a millisecond: what it takes tells how busy the machine is."""
    total = 0
    for number in range(_WORK):
        total += number & 7
    return total


class Disturbance:
    """How much slower than at its best the machine does the same work, now and again."""

    def __init__(self) -> None:
        self._walls: list[int] = []
        self._cpus: list[int] = []

    def look(self) -> None:
        """Do the work once more."""
        cpu, began = time.thread_time_ns(), time.perf_counter_ns()
        reference_work()
        self._walls.append(time.perf_counter_ns() - began)
        self._cpus.append(max(time.thread_time_ns() - cpu, 1))

    def of_wall(self) -> float:
        """Return by which factor time is stretched: the time that passed, against the best processor time.

        The mean, because a thread that has to wait for a processor waits seldom and long.
        """
        return max(sum(self._walls) / len(self._walls) / min(self._cpus), 1.0)

    def of_cpu(self) -> float:
        """Return by which factor processor time is stretched, by neighbours who share caches and pipelines."""
        return median_interval(self._cpus).median / min(self._cpus)
