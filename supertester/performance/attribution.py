"""Whose processor time it was: that of the present test, in all its threads.

Python cannot ask the operating system for the time of a group of threads. The time of the whole process is exact, and
so is that of each thread that lives; so what the threads of others used is taken off. Outside of tests all belongs to
the one who measures.

Of somebody else's threads only those are seen that are there before and after. Except on Linux all neighbours count.
"""

from __future__ import annotations

import sys
import threading
import time

from supertester.context import current_context
from supertester.isolation.identity import stamp_of

__all__ = ["CpuClock"]


class CpuClock:
    """Counts the nanoseconds of processor time that the present test uses, in all its threads, from its creation on."""

    def __init__(self) -> None:
        self._others = dict.fromkeys(_clocks_of_others(), 0)
        self._began = 0
        self.restart()

    def restart(self) -> None:
        """Count from now on, of the threads that there were when it was made those that live."""
        self._others = {clock: now for clock in self._others if (now := _read(clock)) is not None}
        self._began = time.process_time_ns()

    def elapsed_ns(self) -> int:
        """Return what has been used."""
        total = time.process_time_ns() - self._began
        for clock, before in self._others.items():
            now = _read(clock)
            total -= 0 if now is None else now - before
        return max(total, 0)


def _clocks_of_others() -> list[int]:
    """Return the clocks of the living threads that do not belong to the present test."""
    context = current_context.get()
    if context is None or sys.platform != "linux":
        return []
    own = threading.get_ident()
    return [
        _clock_of(thread.native_id)
        for thread in threading.enumerate()
        if thread.native_id is not None and thread.ident != own and stamp_of(thread)[0] is not context
    ]


def _clock_of(native_id: int) -> int:
    """Return the clock of a thread, as in ``include/linux/posix-timers.h``.

    Unlike ``time.pthread_getcpuclockid`` this may be asked about a thread that has just ended.
    """
    return (~native_id << 3) | 6


def _read(clock: int) -> int | None:
    try:
        return time.clock_gettime_ns(clock)
    except OSError:  # The thread has ended.
        return None
