"""Virtual time, and the timers that wait for it."""

from __future__ import annotations

import heapq
import math
from contextvars import Context
from typing import Any, Final

from supertester._core.standing import Explain
from supertester.schedule.lanes import Lane
from supertester.schedule.loop.callbacks import Callbacks
from supertester.schedule.loop.handles import TimerHandle
from supertester.schedule.waits import describe_waits

__all__ = ["PER_SECOND", "Livelock", "Timers"]

PER_SECOND: Final = 1e9
"""Timers that are due within the same nanosecond fire in the order in which they were set, whatever sums of floating
point numbers say. In asyncio the time that passes between setting them sees to that."""
_MANY: Final = 100
"""Timers that may lie about cancelled, if they are less than half of all."""


class Livelock(AssertionError):
    """A schedule has no end: it reached the limit of its steps or of its virtual time."""


class Timers(Callbacks):
    """Holds the timers until their time has come; then each gets a lane of its own."""

    time_limit: float
    explain: Explain | None = None
    """Knows more of the tasks, for messages that say what each waits for."""
    _now = 0.0
    _cancelled_timers = 0
    _timers: list[tuple[float, int, TimerHandle]]
    """A heap of nanosecond, age and timer."""

    def time(self) -> float:
        """Return the virtual time in seconds, from 0."""
        return self._now

    def set_back(self, when: float) -> None:
        """Set the time back to *when*, by less than anybody waits."""
        self._now = when

    @property
    def _scheduled(self) -> list[TimerHandle]:
        """The timers, as asyncio's own loops call them."""
        return [timer for _, _, timer in self._timers]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> TimerHandle:
        if delay is None:
            raise TypeError("delay must not be None")
        return self._set_timer(self._now + delay, callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> TimerHandle:
        if when is None:
            raise TypeError("when cannot be None")
        return self._set_timer(when, callback, args, context)

    def _set_timer(self, when: float, callback: Any, args: tuple[Any, ...], context: Context | None) -> TimerHandle:
        handle = TimerHandle(when, callback, args, self, context, self.lane)
        age = self._age
        self._age = age + 1
        nanosecond = int(when * PER_SECOND + 0.5) if when < math.inf else when
        heapq.heappush(self._timers, (nanosecond, age, handle))
        return handle

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > _MANY and self._cancelled_timers * 2 > len(self._timers):
            handle._cancelled = True
            self._timers[:] = [each for each in self._timers if not each[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    def _next_timer(self) -> float | None:
        """Return when the next timer fires, if there is one."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        return timers[0][2]._when if timers else None

    def _leap(self, when: float) -> None:
        """Let it be *when*."""
        if when > self.time_limit:
            raise Livelock(
                f"no end within {self.time_limit:g} s of virtual time (`time_limit`): the next timer would fire at "
                f"{when:g} s\n{describe_waits(self, self.explain)}"
            )
        self._now = max(self._now, when)
        self._ring()

    def _ring(self) -> None:
        """Give each timer that is due a lane."""
        timers = self._timers
        end = self._now * PER_SECOND + 0.5
        while timers and timers[0][0] <= end:
            handle = heapq.heappop(timers)[2]
            if handle._cancelled:
                self._cancelled_timers -= 1
                continue
            handle._scheduled = False
            lane = Lane("timer", handle.parent, handle.number, handle.delay)
            if self._created is not None:
                self._created(lane, handle.parent)
            self._put(lane, handle)
