"""Only schedules that asyncio as it is can produce."""

from __future__ import annotations

import random
from typing import Any, Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy

__all__ = ["OUTER_KINDS", "IoLevel"]

OUTER_KINDS: Final = frozenset({"timer", "executor", "delivery", "process", "stream", "fault"})
"""The kinds of lanes that come from outside of the program: when they do is not asyncio's to decide."""


class IoLevel(Strategy):
    """Lets another strategy choose between timers, messages, I/O and jobs, and leaves tasks in asyncio's order.

    Args:
        inner: The strategy that chooses.

    Attributes:
        had_choices: Whether there was anything to choose so far.
    """

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner
        self.name = inner.name
        self.had_choices = False

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin as the other strategy does."""
        return self._inner.begin(random, number)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Let the other strategy choose between the oldest lane of the program and those that come from outside."""
        allowed = [0, *(index for index in range(1, len(runnable)) if runnable[index].kind in OUTER_KINDS)]
        if runnable[0].kind in OUTER_KINDS:
            inner = next((index for index, lane in enumerate(runnable) if lane.kind not in OUTER_KINDS), None)
            if inner is not None:
                allowed = sorted((*allowed, inner))
        if len(allowed) == 1:
            return allowed[0]
        self.had_choices = True
        lanes = [runnable[index] for index in allowed]
        return allowed[self._inner.choose(lanes, current if current in lanes else None)]

    def created(self, lane: Lane, parent: Lane | None) -> None:
        """Tell the other strategy."""
        self._inner.created(lane, parent)

    def end(self, run: Any) -> None:
        """Tell the other strategy."""
        self._inner.end(run)
