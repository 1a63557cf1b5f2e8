"""`Timekeeping`: who runs for too long, and what is done about it."""

from __future__ import annotations

import signal
from collections.abc import Collection

from supertester.runner.desks import Desk, Task
from supertester.runner.forking import DUMP, RAISE
from supertester.runner.ledger import Ledger
from supertester.runner.nursery import Nursery
from supertester.runner.outcomes import Running

__all__ = ["Timekeeping", "running"]

_LOOK = 0.25
"""Seconds between two looks at what is running."""
_READY = 60.0
"""Seconds that a worker has at least to load the tests, however little a test may take."""


class Timekeeping:
    """Looks at what runs, and climbs the ladder of timeouts with what has run for too long.

    Args:
        nursery: Sends the signals.
        ledger: Is told what is running, about once a second.
        grace: Seconds for each rung of the ladder beyond the first.
        limit: Seconds that a test may take; ``None`` is for ever.
    """

    def __init__(self, nursery: Nursery, ledger: Ledger, *, grace: float, limit: float | None) -> None:
        self._nursery = nursery
        self._ledger = ledger
        self._grace = grace
        self._limit = None if limit is None else max(limit, _READY)
        self.next_look = self._next_word = 0.0

    def look(self, desks: Collection[Desk], now: float) -> None:
        """Look at all that is running."""
        self.next_look = now + _LOOK
        for desk in desks:
            desk.worker.capture.limit()
            for task in desk.tasks.values():
                if task.runs is not None and now >= task.due:
                    self._climb(desk, task, now)
                self.next_look = min(self.next_look, max(task.due, now + 0.01))
            self._look_at_edges(desk, now)
        if now >= self._next_word:
            self._next_word = now + 1.0
            self._ledger.running(running(desks, now))

    def kill(self, desk: Desk) -> None:
        """End a worker, with all that it has started."""
        desk.stacks += desk.worker.stacks()
        desk.killed = True
        self._nursery.signal(desk.worker, signal.SIGKILL, whole_group=True)

    def _look_at_edges(self, desk: Desk, now: float) -> None:
        """End a worker that takes too long before its first test, or after its last one."""
        if desk.killed:
            return
        if desk.leaving is not None and now > desk.leaving + 2 * self._grace:
            self._ledger.note(f"worker {desk.worker.number} did not end after its tests; it was killed")
            self.kill(desk)
        elif not desk.is_ready and self._limit is not None and now > desk.hired + self._limit:
            self._ledger.note(f"worker {desk.worker.number} was not ready within {self._limit:g} s; it was killed")
            self.kill(desk)

    def _climb(self, desk: Desk, task: Task, now: float) -> None:
        task.rung += 1
        if RAISE is not None and task.rung <= 2:
            self._nursery.signal(desk.worker, RAISE)
            task.due = now + self._grace
        elif task.rung <= 3:
            if DUMP is not None:
                self._nursery.signal(desk.worker, DUMP)
            task.due = now + min(1.0, self._grace)  # For the stacks to be written.
        else:
            self.kill(desk)
            task.due = float("inf")


def running(desks: Collection[Desk], now: float) -> list[Running]:
    """Return what runs, longest first."""
    found = [
        Running(test_id=task.runs, worker=desk.worker.number, seconds=now - task.since)
        for desk in desks
        for task in desk.tasks.values()
        if task.runs is not None
    ]
    return sorted(found, key=lambda each: -each.seconds)
