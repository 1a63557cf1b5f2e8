"""Strategies by their names."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable
from typing import Final

from supertester.errors import UsageError
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.dpor import Dpor
from supertester.schedule.strategies.fifo import Fifo

__all__ = ["STRATEGIES", "named_strategy"]


class Uniform(Strategy):
    """Any of the lanes, each as likely as the others."""

    name = "random"
    _draw: Callable[[], float]

    def begin(self, random: random.Random, number: int) -> bool:
        """Draw from *random*; there is always something to do."""
        self._draw = random.random
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose at random."""
        return int(self._draw() * len(runnable))


STRATEGIES: Final[dict[str, Callable[[], Strategy]]] = {
    "auto": Uniform,
    "dpor": Dpor,
    "fifo": Fifo,
    "random": Uniform,
}


def named_strategy(name: str) -> Strategy:
    """Return a new strategy.

    Raises:
        UsageError: There is none of this name.

    >>> named_strategy("fifo").name
    'fifo'
    """
    if name not in STRATEGIES:
        close = difflib.get_close_matches(name, STRATEGIES, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(f"unknown strategy {name!r}{hint}; the known ones are {', '.join(STRATEGIES)}")
    return STRATEGIES[name]()
