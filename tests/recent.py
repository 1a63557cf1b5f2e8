"""Garbage of what was made a moment ago, freed without a look at all else that the process holds."""

from __future__ import annotations

import gc
import sys

__all__ = ["Recent"]

_KEEPS_AGES = sys.version_info < (3, 14)
"""Whether each collection makes what survives it one generation older."""


class Recent:
    """What is made from now on.

    A whole collection looks at every object of the process, which takes as long as hundreds of tests once they have all
    loaded what they need. What is younger than this cannot be among the oldest objects unless it has survived a
    collection meanwhile; only where there was one, the whole heap is looked at.
    """

    def __init__(self) -> None:
        self._agings = _agings()

    def collect(self) -> bool:
        """Free what of it is garbage; say whether it was enough to look at the young."""
        gc.collect(1)
        # One more than at the beginning is this one. It did nothing if another thread was at it.
        enough = _KEEPS_AGES and _agings() == self._agings + 1
        if not enough:
            gc.collect()
        return enough


def _agings() -> int:
    """Return how many collections there were after which something may be among the oldest."""
    return sum(each["collections"] for each in gc.get_stats()[1:])
