"""The portfolio: each strategy finds what the others miss."""

from __future__ import annotations

import random
from typing import Any, Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.fifo import Fifo
from supertester.schedule.strategies.pct import Pct
from supertester.schedule.strategies.roles import Roles
from supertester.schedule.strategies.sticky import Sticky
from supertester.schedule.strategies.urw import Urw

__all__ = ["CYCLE", "Auto"]

CYCLE: Final = ("roles", "urw", "roles", "pct", "roles", "roles", "sticky", "roles", "urw", "roles")
"""Who chooses, schedule by schedule, after the first one in asyncio's own order."""


class Auto(Strategy):
    """asyncio's own order once, and then several strategies in turn, mostly `Roles`.

    No strategy is the best everywhere: uniform walks find what needs all tasks in the midst of something, priorities
    find what needs somebody slow. Which share each has was decided by how often each finds the programs of
    ``benchmarks/bugs``, and judged by others that it was not decided on.
    """

    name = "auto"

    def __init__(self) -> None:
        self._fifo = Fifo()
        self._members: dict[str, Strategy] = {each.name: each for each in (Roles(), Urw(), Pct(), Sticky())}
        self._member: Strategy = self._fifo

    def begin(self, random: random.Random, number: int) -> bool:
        """Let the next one choose."""
        self._member = member = self._members[CYCLE[(number - 1) % len(CYCLE)]] if number else self._fifo
        self.name = member.name  # what a failure was found by
        # What is called at each choice is the member's own method, at no cost.
        self.choose = member.choose  # type: ignore[method-assign]
        return member.begin(random, number)

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Choose as whoever's turn it is."""
        return self._member.choose(runnable, current)

    def end(self, run: Any) -> None:
        """Let the one learn whose turn it was; from the first schedule all do."""
        for member in self._members.values() if self._member is self._fifo else (self._member,):
            member.end(run)
