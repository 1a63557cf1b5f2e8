"""Time as a value that can be injected.

Everything in the library that waits asks a `Clock` for the time and for a timer, never the ``time`` module, so that a
test can hold time still (`ManualClock`) or let it jump.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, Protocol

from supertester.errors import UsageError

__all__ = ["Clock", "LoopClock", "ManualClock", "TimerHandle", "checked_timeout"]


class TimerHandle(Protocol):
    """What `Clock.call_at` returns: something that can be cancelled, also after it fired."""

    def cancel(self) -> object: ...


class Clock(Protocol):
    """Seconds that never run backwards, and timers on them."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> TimerHandle: ...


class LoopClock:
    """The real clock: the event loop's own."""

    __slots__ = ("call_at", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time = loop.time
        self.call_at: Callable[..., TimerHandle] = loop.call_at


class _ManualTimer:
    __slots__ = ("args", "callback", "clock")

    def __init__(self, clock: ManualClock, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.clock = clock
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback, self.args = None, ()
            self.clock._forget_cancelled()


class ManualClock:
    """A clock that stands still until `advance` moves it; due timers run inside `advance`, in order of time.

    >>> clock = ManualClock()
    >>> handle = clock.call_at(2.0, print, "two seconds")
    >>> clock.advance(1.5)
    >>> clock.advance(0.5)
    two seconds
    >>> clock.time()
    2.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._cancelled = 0

    def time(self) -> float:
        """Return the present time in seconds."""
        return self._now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> _ManualTimer:
        """Run ``callback(*args)`` when the clock reaches *when*."""
        timer = _ManualTimer(self, callback, args)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def next_timer(self) -> float | None:
        """Return the time of the earliest timer that is still armed, or ``None``."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
            self._cancelled -= 1
        return self._timers[0][0] if self._timers else None

    def _forget_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > 100 and 2 * self._cancelled > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def advance(self, seconds: float) -> None:
        """Move time forward by *seconds* and run what becomes due.

        Raises:
            UsageError: *seconds* is negative.
        """
        if not seconds >= 0:
            raise UsageError(f"a clock cannot go back: advance(seconds={seconds!r}); give 0 or more")
        end = self._now + seconds
        while (when := self.next_timer()) is not None and when <= end:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            callback, args = timer.callback, timer.args
            timer.callback = None  # It fired, so there is nothing left to cancel.
            assert callback is not None
            callback(*args)
        self._now = end


def checked_timeout(timeout: float) -> float:
    """Return *timeout*, or raise `UsageError` if it is no number of seconds from 0 to infinity."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, got timeout={timeout!r}")
    if not timeout >= 0:
        raise UsageError(f"timeout must be 0 or more seconds (INFINITY waits for ever), got timeout={timeout!r}")
    return timeout
