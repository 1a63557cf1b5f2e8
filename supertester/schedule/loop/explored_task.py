"""`ExploredTask`: asyncio's task, with a hash that is the same in every process."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.schedule.lanes import Lane

__all__ = ["ExploredTask"]


class ExploredTask(asyncio.Task[Any]):
    """A task of an `ExploringLoop`; sets of such tasks have the same order in every process.

    Attributes:
        explored_lane: Its lane. The name is long because the loop looks for it on whatever a callback belongs to.
        explored_coroutine: What it runs.
        serial: The how-manieth task of the schedule it is, from 1.
    """

    __slots__ = ("explored_coroutine", "explored_lane", "serial")

    explored_coroutine: Any
    explored_lane: Lane
    serial: int

    def get_coro(self) -> Any:
        """Return what it runs, also where it ended within the step that made it: Python 3.12.1 would crash."""
        return self.explored_coroutine

    def __hash__(self) -> int:
        return self.serial
