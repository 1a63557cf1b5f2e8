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
        serial: The how-manieth task of the schedule it is, from 1.
    """

    __slots__ = ("explored_lane", "serial")

    explored_lane: Lane
    serial: int

    def __hash__(self) -> int:
        return self.serial
