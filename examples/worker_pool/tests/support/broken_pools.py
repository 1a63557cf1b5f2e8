"""Pools with one mistake each, which the tests have to find."""

from __future__ import annotations

import threading
from typing import Any

from worker_pool import WorkerPool

__all__ = ["Inattentive", "Mixed", "OneAtATime", "Unsuspecting"]


class OneAtATime(WorkerPool):
    """A mistake that is easily made: a lock is held while a worker works."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lock = threading.Lock()

    def execute(self, *args: Any, **options: Any) -> Any:
        with self._lock:
            return super().execute(*args, **options)


class Inattentive(WorkerPool):
    """A pool that notices the death of a worker only when it is told to look."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.may_look = threading.Event()

    def _attend(self, worker: Any) -> None:
        self.may_look.wait()
        super()._attend(worker)

    def close(self) -> None:
        self.may_look.set()
        super().close()


class Unsuspecting(Inattentive):
    """The same without the rule that a worker which has lost a call gets no other before it was looked at."""

    def _suspect(self, worker: Any) -> None:
        worker.nudge()


class Mixed(WorkerPool):
    """A pool that takes a session for another one now and then."""

    def execute(self, *args: Any, session: str | None = None, **options: Any) -> Any:
        return super().execute(*args, session=session and session.replace("9", "8"), **options)
