"""One deadline for a request, however often it is tried."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """The time that a request has, shared by its attempts.

    Each attempt gets an equal part of what is left, so a silent worker cannot use up the time of the next one, and no
    inner limit is beyond the outer one.
    """

    def __init__(self, timeout: float, attempts: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + timeout
        self._attempts = attempts

    def left(self) -> float:
        return max(self._end - self._clock(), 0.0)

    def share(self, attempt: int) -> float:
        """Return the seconds of attempt number *attempt*, the first of which is 0."""
        return self.left() / (self._attempts - attempt)
