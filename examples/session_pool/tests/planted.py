"""Pools with one mistake each, as people make them: what a test is worth shows when it fails for one of these."""

from __future__ import annotations

import contextlib
from threading import Lock
from typing import Any

from session_pool import PoolTimeout, PoolWorker, PythonPort, SessionPool

__all__ = [
    "Careless",
    "Deaf",
    "Forgetful",
    "Generous",
    "Hopeless",
    "Hurried",
    "Late",
    "Miscounting",
    "Relentless",
    "Roaming",
    "Serial",
]


class Serial(SessionPool):
    """Talks to one worker at a time, because it holds a lock while it does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._one_at_a_time = Lock()
        super().__init__(*args, **options)

    def _tried(self, *args: Any, **options: Any) -> Any:
        with self._one_at_a_time:
            return super()._tried(*args, **options)


class Roaming(SessionPool):
    """Gives a session whatever worker is free."""

    def _given(self, worker: PoolWorker, session: str | None) -> PoolWorker:
        given = super()._given(worker, session)
        if session is not None:
            del self._pins[session]
            worker.sessions.clear()
        return given


class Late(SessionPool):
    """Runs a call that has timed out after all, once there is a worker."""

    def _wait(self, waiter: Any, patience: float) -> PoolWorker:
        try:
            return super()._wait(waiter, patience)
        except PoolTimeout:
            with self._changed:
                self._queue[waiter] = None
            waiter.add_done_callback(self._run_late)
            raise

    def _run_late(self, waiter: Any) -> None:
        if waiter.exception() is None:
            self._jobs.put(lambda: self._do_late(waiter.result()))

    def _do_late(self, worker: PoolWorker) -> None:
        worker.port.call("ping")
        self._checkin(worker)


class Hopeless(SessionPool):
    """Never replaces a worker."""

    def _may_restart(self) -> bool:
        return False


class Relentless(SessionPool):
    """Replaces workers however often they die."""

    def _may_restart(self) -> bool:
        return self._over is None


class Forgetful(SessionPool):
    """Begins a new session where one was lost, and tells nobody."""

    def _lose(self, sessions: set[str]) -> None:
        super()._lose(sessions)
        self._lost.clear()


class Generous(SessionPool):
    """Keeps temporary workers for ever."""

    def _retire_if_spare(self, worker: PoolWorker) -> None: ...


class Miscounting(SessionPool):
    """Counts without a lock; another thread gets between reading and writing."""

    def _counted(self, *args: Any, **options: Any) -> Any:
        before = self._metrics["total_operations"]
        try:
            return super()._counted(*args, **options)
        finally:
            self._metrics["total_operations"] = before + 1


class Careless(SessionPool):
    """Gives a worker back that has not answered in time, instead of replacing it."""

    def _tried(self, *args: Any, **options: Any) -> Any:
        with contextlib.ExitStack() as stack:
            for worker in self.workers():
                stack.enter_context(_unkillable(worker.port))
            return super()._tried(*args, **options)


@contextlib.contextmanager
def _unkillable(port: PythonPort) -> Any:
    port.kill = lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del port.kill


class Hurried(SessionPool):
    """Does not wait for its workers to end when it is closed."""

    def _close_workers(self, grace: float = 0.0) -> None: ...


class Deaf(PythonPort):
    """Gives an answer to whoever has waited longest, instead of to who has asked."""

    def _take(self, body: bytes) -> None:
        with self._lock:
            oldest = min(self._pending, default=0)
        head, _, rest = body.partition(b",")
        super()._take(f'{{"id": {oldest}'.encode() + b"," + rest if oldest and b'"id"' in head else body)
