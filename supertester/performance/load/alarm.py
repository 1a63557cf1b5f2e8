"""Wakes an event loop at the right moment: its own timers are up to a millisecond late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Condition, Thread

__all__ = ["Alarm"]


class Alarm:
    """A thread that calls a function of an event loop at a moment, given in ``time.perf_counter_ns``.

    ``epoll`` counts in milliseconds and the loops round up; waiting on a condition is exact to some 50 microseconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._changed = Condition()
        self._when: int | None = None
        self._open = True
        self._thread = Thread(target=self._run, name="supertester-load-alarm", daemon=True)
        self._thread.start()

    def set(self, when: int | None) -> None:
        """Call the function at *when* instead of at any other moment; ``None``: not at all."""
        with self._changed:
            self._when = when
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while self._open:
                left = None if self._when is None else (self._when - time.perf_counter_ns()) / 1e9
                if left is None or left > 0:
                    self._changed.wait(left)
                else:
                    self._when = None
                    self._loop.call_soon_threadsafe(self._callback)
