"""How often something may fail before it is given up: so many times within so many seconds."""

from __future__ import annotations

import time
from collections import deque

__all__ = ["RestartIntensity"]


class RestartIntensity:
    """Counts the deaths of the last *window* seconds, of which *max_restarts* are no reason to give up."""

    def __init__(self, max_restarts: int, window: float) -> None:
        self._max_restarts = max_restarts
        self._window = window
        self._deaths: deque[float] = deque()

    def exceeded(self) -> str | None:
        """Note a death, and say why that is one too many, or return ``None``."""
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - self._window:
            self._deaths.popleft()
        if len(self._deaths) <= self._max_restarts:
            return None
        return f"restart intensity exceeded: {len(self._deaths)} workers died within {self._window:g} s"
