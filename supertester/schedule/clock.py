"""`VirtualClock`: the time of a `VirtualLoop`, to be read, waited for, and moved."""

from __future__ import annotations

import asyncio
import math

from supertester._core.clock import LoopClock
from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.virtual_loop import VirtualLoop

__all__ = ["ExploringClock", "VirtualClock"]

_SOON = 2e-9
"""Seconds after a time when all that was due at it has come to rest: time passes only when nothing is left to do."""


class VirtualClock(LoopClock):
    """Seconds of virtual time. They begin at 0 and pass when nothing else is left to do.

    >>> async def main():
    ...     clock = VirtualClock(asyncio.get_running_loop())
    ...     await asyncio.sleep(3600)
    ...     await clock.advance(60)
    ...     return clock.time()
    >>> import asyncio
    >>> with asyncio.Runner(loop_factory=VirtualLoop) as runner:
    ...     runner.run(main())
    3660.0
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop)
        self._loop = loop

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and all that becomes due in them come to rest; with 0, what is due already.

        Like time that passes by itself, it waits for outside work; see `VirtualLoop`.

        Raises:
            UsageError: *seconds* is negative or infinite.
            TypeError: It is no number.
        """
        await self._loop.advance(seconds)

    def __repr__(self) -> str:
        return f"<VirtualClock at {self.time():g} s>"


class ExploringClock(LoopClock):
    """Seconds of virtual time in one explored schedule; `advance` is as in `VirtualClock`."""

    __slots__ = ("_loop",)

    def __init__(self, loop: ExploringLoop) -> None:
        super().__init__(loop)
        self._loop = loop

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and all that becomes due in them come to rest.

        Raises:
            UsageError: *seconds* is negative or infinite.
            TypeError: It is no number.
        """
        if math.isinf(checked_seconds("seconds", seconds)):
            raise UsageError(f"seconds must be finite, got seconds={seconds!r}")
        target = self.time() + seconds
        await asyncio.sleep(seconds + _SOON)
        self._loop.set_back(target)

    def __repr__(self) -> str:
        return f"<ExploringClock at {self.time():g} s>"
