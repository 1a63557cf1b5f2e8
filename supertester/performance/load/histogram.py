"""A histogram of durations: three digits exact, of any range, in memory that does not grow with their number."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from operator import rshift
from struct import pack, unpack
from typing import Any, Final

__all__ = ["Histogram"]

_BITS: Final = 10
_HALF: Final = 1 << _BITS
_REST: Final = 52 - _BITS
"""Bits of a floating-point number after those that tell its bucket."""
_FIRST: Final = (1023 + _BITS - 1) << _BITS
"""What the exponents of IEEE 754 are ahead of those of the buckets."""


class Histogram:
    """Counts whole numbers, such as nanoseconds, in buckets whose width is a thousandth of what is in them.

    The buckets of HdrHistogram (G. Tene): below 2,048 each number has one; above, each power of two has 1,024.

    >>> latency = Histogram()
    >>> for number in range(1, 1_001):
    ...     latency.record(number)
    >>> latency.value_at(99)
    990
    """

    __slots__ = ("_counts", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * 2 * _HALF))
        self.count = self.total = self.minimum = self.maximum = 0

    def record(self, value: int) -> None:
        """Count *value*; what is below 0 counts as 0."""
        if value < 0:  # noqa: PLR1730 - this runs with every operation, and `max` takes longer
            value = 0
        shift = value.bit_length() - _BITS - 1
        index = (shift << _BITS) + (value >> shift) if shift > 0 else value
        try:
            self._counts[index] += 1
        except IndexError:
            self._grow(index + 1)
            self._counts[index] = 1
        if value > self.maximum:  # noqa: PLR1730
            self.maximum = value
        if value < self.minimum or not self.count:
            self.minimum = value
        self.count += 1
        self.total += value

    def record_all(self, values: Sequence[int]) -> None:
        """Count many *values* of 0 or more at once, which takes a fraction of the time.

        The bits of a floating-point number begin with its power of two and the thousandth of it: the bucket.
        """
        if not values:
            return
        bits = array("Q", array("d", values).tobytes())
        for head, count in Counter(map(rshift, bits, repeat(_REST))).items():
            index = head - _FIRST
            if index < _HALF:  # Below 1,024 the number is its own bucket, and all of its bits are in the head.
                index = int(unpack("d", pack("Q", head << _REST))[0])
            if index >= len(self._counts):
                self._grow(index + 1)
            self._counts[index] += count
        self.minimum = min(*values, self.minimum) if self.count else min(values)
        self.maximum = max(*values, self.maximum)
        self.count += len(values)
        self.total += sum(values)

    def _grow(self, buckets: int) -> None:
        self._counts.frombytes(bytes(8 * max(buckets - len(self._counts), 0)))

    @property
    def mean(self) -> float:
        """The mean of what was counted; 0 if nothing was."""
        return self.total / self.count if self.count else 0.0

    def value_at(self, percent: float) -> int | None:
        """Return the value at the nearest rank, or ``None`` if there are too few to have any beyond it."""
        if self.count * (100 - percent) < 100 - 1e-6:
            return None
        rank = self.count * percent / 100 - 1e-9
        seen = 0
        for highest, count in self:
            seen += count
            if seen >= rank:
                return min(highest, self.maximum)
        return self.maximum

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the buckets that are not empty: the highest value that falls into them, and their count."""
        for index, count in enumerate(self._counts):
            if count:
                yield _highest(index), count

    def add(self, other: Histogram) -> None:
        """Count all that *other* has counted."""
        self._grow(len(other._counts))
        for index, count in enumerate(other._counts):
            if count:
                self._counts[index] += count
        if other.count:
            self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
            self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self.total += other.total

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form, from which `from_dict` makes an equal histogram."""
        counts = {str(index): count for index, count in enumerate(self._counts) if count}
        return {"counts": counts, "total": self.total, "minimum": self.minimum, "maximum": self.maximum}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """Return the histogram that `to_dict` was called on, e.g. that of another machine."""
        made = cls()
        counts = {int(index): count for index, count in data["counts"].items()}
        made._grow(max(counts, default=0) + 1)
        for index, count in counts.items():
            made._counts[index] = count
        made.count, made.total = sum(counts.values()), data["total"]
        made.minimum, made.maximum = data["minimum"], data["maximum"]
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


def _highest(index: int) -> int:
    """Return the highest value that falls into the bucket *index*."""
    if index < _HALF:
        return index
    shift = (index >> _BITS) - 1
    return (((index & (_HALF - 1)) + _HALF + 1) << shift) - 1
