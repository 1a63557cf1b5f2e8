"""What a few noisy samples allow one to say: medians with intervals, and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from supertester.errors import UsageError

__all__ = ["CONFIDENCE", "Interval", "median_interval", "percentile"]

CONFIDENCE: Final = 0.998
"""How sure verdicts are. It takes ten samples at least; with ten, the interval is from the least to the greatest."""


@dataclass(frozen=True)
class Interval:
    """A median, and between which values it lies.

    Attributes:
        low: The lower end.
        median: Of the samples.
        high: The upper end.
        samples: How many there were.
        confidence: How probable it is that the true median lies between the ends; less than was asked for if there
            are too few samples.
    """

    low: float
    median: float
    high: float
    samples: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return asdict(self)


def median_interval(samples: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Return the median of *samples* and the interval in which the true one lies, whatever their distribution is.

    The ends are samples: how many of n independent samples lie below the true median is binomial with p = 1/2, which
    says which ranks are far enough apart (the sign test; Conover, *Practical Nonparametric Statistics*, section 3.2).

    Raises:
        UsageError: There are no samples.

    >>> median_interval([1, 2, 3, 4, 5, 6, 7, 8, 9, 100])
    Interval(low=1, median=5.5, high=100, samples=10, confidence=0.998046875)
    """
    if not samples:
        raise UsageError("an interval needs samples, got none")
    ordered = sorted(samples)
    count = len(ordered)
    rank, tail = 0, 0.5**count
    while rank + 1 < count // 2 and 1 - 2 * (more := tail + math.comb(count, rank + 1) * 0.5**count) >= confidence:
        rank, tail = rank + 1, more
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Interval(ordered[rank], middle, ordered[count - 1 - rank], count, max(1 - 2 * tail, 0.0))


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the sample at the nearest rank, or ``None`` if there are too few to have any beyond it.

    >>> percentile(range(1, 101), 99)
    99
    >>> percentile([1, 2, 3], 99) is None
    True
    """
    count = len(ordered)
    if count * (100 - percent) < 100 - 1e-6:
        return None
    return ordered[math.ceil(count * percent / 100 - 1e-9) - 1]
