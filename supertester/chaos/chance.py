"""What chance decides: whether a fault hits this message, or the next one."""

from __future__ import annotations

import random
from typing import Any

from supertester._core.counts import checked_count
from supertester.errors import UsageError
from supertester.otp.root import matches

__all__ = ["Chance", "checked_count", "checked_rate"]


def checked_rate(name: str, rate: Any) -> float:
    """Return *rate*, or raise the error that a bad one deserves: a number from 0 to 1 is wanted."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise TypeError(f"{name} must be a number, got {name}={rate!r}")
    if not 0 <= rate <= 1:
        raise UsageError(f"{name} must be from 0 to 1, got {name}={rate!r}")
    return rate


class Chance:
    """Chooses among messages; the same ones again for the same seed."""

    def __init__(self, seed: int, *, match: Any, rate: float, count: int | None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self._match = match
        self._rate = rate
        self._left = count

    def takes(self, message: Any) -> bool:
        """Say whether *message* is hit. One that does not match, and one after the last, leaves no trace."""
        if self._left == 0 or not (self._match is None or matches(self._match, message)):
            return False
        if self.random.random() >= self._rate:
            return False
        if self._left is not None:
            self._left -= 1
        return True
