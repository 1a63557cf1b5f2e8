"""Partial order sampling that is fair to roles."""

from __future__ import annotations

import asyncio

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.pos import Pos

__all__ = ["Roles"]


class Roles(Pos):
    """Partial order sampling in which each role is as likely to run as each other, however many have it.

    All tasks that run the same async function have one role, and so have all timers, all messages and so on. Among
    twenty writers and one reader, the reader is one of two and not one of twenty-one. Which of the writers runs hardly
    ever matters; whether it is a writer or the reader does.

    Of *n* lanes of a role each draws *u* to the power of *n*: the highest of those is distributed as a single *u*.
    """

    name = "roles"

    def _priority(self, lane: Lane, runnable: list[Lane]) -> float:
        role = lane.mark or _role(lane)
        same = 0
        for each in runnable:
            if (each.mark or _role(each)) == role:
                same += 1
        return self._draw() if same == 1 else float(self._draw() ** same)


def _role(lane: Lane) -> int:
    """Return what is the same for lanes of one role, and keep it with the lane."""
    owner = lane.owner
    code = getattr(owner.get_coro(), "cr_code", None) if isinstance(owner, asyncio.Task) else None
    lane.mark = role = id(code) if code is not None else hash(lane.kind)
    return role
