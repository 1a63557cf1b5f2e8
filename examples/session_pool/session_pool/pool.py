"""The pool: worker processes that sessions live on, and who may use which of them."""

from __future__ import annotations

import copy
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

from session_pool.calls import Call, Waiter
from session_pool.errors import (
    PoolClosed,
    PoolError,
    PoolSaturated,
    PoolTimeout,
    PortClosed,
    PortError,
    PortTimeout,
    ProtocolViolation,
    RestartIntensityExceeded,
    SessionLost,
    SessionNotFound,
    SessionPoolError,
)
from session_pool.intensity import RestartIntensity
from session_pool.port import PythonPort
from session_pool.worker import PoolWorker, close_ports, start_workers

__all__ = ["SessionPool"]


class SessionPool:
    """Runs commands on worker processes. A session lives on the worker that served its first call.

    Args:
        pool_size: How many workers there are.
        overflow: How many more may be started while all are busy. Such a worker goes when nobody needs it: nobody
            waits, and no session lives on it.
        checkout_timeout: Seconds that a call waits for a worker, unless it says otherwise.
        max_queue: How many calls may wait.
        port_factory: Starts a worker process; by default the one of this package.
        max_restarts: How many workers may die within *window* seconds; with one more the pool gives up.
        window: Seconds.

    Raises:
        WorkerInitFailed: A worker cannot be started. None is left.
    """

    def __init__(
        self,
        pool_size: int = 4,
        *,
        overflow: int = 0,
        checkout_timeout: float = 5.0,
        max_queue: int = 1_000,
        port_factory: Callable[[], PythonPort] | None = None,
        max_restarts: int = 10,
        window: float = 5.0,
        run_id: str | None = None,
    ) -> None:
        if pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, got {pool_size!r}")
        self.run_id = run_id or f"pool-{uuid.uuid4().hex[:12]}"
        self.pool_size = pool_size
        self.overflow = overflow
        self._checkout_timeout = checkout_timeout
        self._max_queue = max_queue
        self._factory = port_factory or partial(PythonPort.spawn, self.run_id)
        self._intensity = RestartIntensity(max_restarts, window)
        self._changed = Condition()
        # All that follows is touched under the lock of the condition; nobody waits for a process while holding it.
        self._workers: dict[str, PoolWorker] = {}
        self._ports: set[PythonPort] = set()
        self._pins: dict[str, PoolWorker] = {}
        self._lost: set[str] = set()
        self._queue: dict[Waiter, None] = {}
        self._starting = 0
        self._metrics: Counter[str] = Counter()
        self._temporaries = 0
        self._over: PoolClosed | None = None
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._supervisor = Thread(target=self._supervise, name=f"{self.run_id}-supervisor", daemon=True)
        for worker in start_workers(pool_size, self._factory):
            self._add(worker)
        self._supervisor.start()

    # Calls -------------------------------------------------------------------------------------------------------

    def execute_in_session(
        self,
        session: str,
        command: str,
        args: dict[str, Any] | None = None,
        *,
        timeout: float = 30.0,
        pool_timeout: float | None = None,
    ) -> Any:
        """Run a command on the worker that *session* lives on, and return its result.

        Args:
            session: Any text. It begins with its first call, and lasts until `end_session`.
            command: What to do.
            args: With what.
            timeout: Seconds for all of it.
            pool_timeout: How many of them it may wait for the worker.

        Raises:
            RemoteError: The command has failed.
            PortTimeout, PortClosed, ProtocolViolation: The worker has failed while it was at it, and is replaced.
            SessionLost: The worker died that the session lived on. This is said once.
            PoolTimeout, PoolSaturated, PoolClosed: The worker has never seen the call.
        """
        return self._counted(self._call(session, command, args, timeout=timeout, pool_timeout=pool_timeout))

    def execute_anonymous(
        self,
        command: str,
        args: dict[str, Any] | None = None,
        *,
        timeout: float = 30.0,
        pool_timeout: float | None = None,
        retries: int = 0,
    ) -> Any:
        """Run a command on any worker; if that fails while it is at it, on another one, *retries* times."""
        call = self._call(None, command, args, timeout=timeout, pool_timeout=pool_timeout, retries=retries)
        return self._counted(call)

    def _call(
        self,
        session: str | None,
        command: str,
        args: dict[str, Any] | None = None,
        *,
        timeout: float,
        pool_timeout: float | None = None,
        retries: int = 0,
        is_last: bool = False,
    ) -> Call:
        patience = self._checkout_timeout if pool_timeout is None else pool_timeout
        return Call(session, command, args, time.monotonic() + timeout, patience, retries, is_last)

    def _counted(self, call: Call) -> Any:
        outcome = "failed"
        try:
            result = self._tried(call)
            outcome = "succeeded"
        finally:
            with self._changed:
                self._metrics.update(("total_operations", outcome))
        return result

    def _tried(self, call: Call) -> Any:
        retries = call.retries
        while True:
            worker = self._checkout(call.session, max(min(call.patience, call.left()), 0))
            try:
                return worker.port.call(call.command, call.args, session=call.session, timeout=call.left())
            except PortTimeout:
                worker.port.kill()  # What it is doing and will do is unknown.
                raise
            except (PortClosed, ProtocolViolation):
                if not retries:
                    raise
                retries -= 1
            finally:
                self._checkin(worker, call.session if call.is_last else None)
            with self._changed:
                self._metrics["retries"] += 1

    def end_session(self, session: str, *, timeout: float = 5.0) -> None:
        """End *session*: its worker forgets it.

        Raises:
            SessionNotFound: There is no such session.
        """
        with self._changed:
            if session in self._lost:
                self._lost.discard(session)
                return
            if session not in self._pins:
                raise SessionNotFound(f"there is no session {session!r}")
        with suppress(SessionLost, PortClosed):  # It is gone, which is what is wanted.
            self._tried(self._call(session, "end_session", timeout=timeout, is_last=True))
        with self._changed:
            self._lost.discard(session)

    def end_all_sessions(self) -> int:
        """End every session there is, also if some cannot be ended, and return how many there were.

        Raises:
            ExceptionGroup: Why some could not.
        """
        errors: list[Exception] = []
        with self._changed:
            sessions = [*self._pins, *self._lost]
        for session in sessions:
            try:
                self.end_session(session)
            except SessionNotFound:
                pass  # Somebody else has ended it.
            except SessionPoolError as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("some sessions could not be ended", errors)
        return len(sessions)

    # What it looks like ------------------------------------------------------------------------------------------

    def workers(self) -> Sequence[PoolWorker]:
        """Return the workers there are now."""
        with self._changed:
            return list(self._workers.values())

    def sessions(self) -> dict[str, str]:
        """Return where each session lives."""
        with self._changed:
            return {session: worker.worker_id for session, worker in self._pins.items()}

    def status(self) -> dict[str, Any]:
        """Return how many workers there are, what they do, and what has happened so far."""
        with self._changed:
            return self._status()

    def _status(self) -> dict[str, Any]:
        states = Counter(worker.status for worker in self._workers.values())
        return {
            "size": len(self._workers),
            "idle": states["ready"],
            "busy": states["busy"],
            "temporary": sum(worker.temporary for worker in self._workers.values()),
            "starting": self._starting,
            "queued": len(self._queue),
            "sessions": len(self._pins),
            "closed": self._over is not None,
            "metrics": dict(self._metrics),
        }

    def await_status(self, predicate: Callable[[dict[str, Any]], object], timeout: float = 5.0) -> bool:
        """Wait until the status is such that *predicate* says so, and say whether that was in time."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: predicate(self._status()), timeout))

    def await_size(self, size: int, timeout: float = 5.0) -> bool:
        """Wait until there are *size* workers that live, and say whether that was in time."""
        return self.await_status(lambda _: sum(map(PoolWorker.alive, self._workers.values())) == size, timeout)

    def health_check(self, timeout: float = 1.0) -> dict[str, str]:
        """Ask each worker that has nothing else to do how it is: ``healthy``, ``unhealthy``, or ``busy``."""
        with self._changed:
            found = {worker.worker_id: "busy" for worker in self._workers.values()}
            idle = [worker for worker in self._workers.values() if worker.status == "ready"]
            for worker in idle:
                worker.checkout(None)
        for worker in idle:
            try:
                found[worker.worker_id] = "healthy" if worker.health_check(timeout) else "unhealthy"
            finally:
                self._checkin(worker)
        return found

    # Who gets a worker -------------------------------------------------------------------------------------------

    def _checkout(self, session: str | None, patience: float) -> PoolWorker:
        with self._changed:
            self._refuse(session)
            worker = self._idle_for(session)
            if worker is not None:
                return self._given(worker, session)
            waiter = None
            if session not in self._pins and self._may_grow():
                self._starting += 1
            else:
                waiter = self._queued(session)
        return self._start_temporary(session) if waiter is None else self._wait(waiter, patience)

    def _refuse(self, session: str | None) -> None:
        if self._over is not None:
            raise copy.copy(self._over)
        if session in self._lost:
            self._lost.discard(session)
            raise SessionLost(f"the worker that the session {session!r} lived on has died")

    def _idle_for(self, session: str | None) -> PoolWorker | None:
        pinned = self._pins.get(session) if session is not None else None
        candidates = [pinned] if pinned is not None else self._workers.values()
        idle = [worker for worker in candidates if worker.status == "ready"]
        return min(idle, key=lambda worker: (len(worker.sessions), worker.operations), default=None)

    def _given(self, worker: PoolWorker, session: str | None) -> PoolWorker:
        worker.checkout(session)
        if session is not None:
            self._pins[session] = worker
        self._changed.notify_all()
        return worker

    def _may_grow(self) -> bool:
        return sum(worker.temporary for worker in self._workers.values()) + self._starting < self.overflow

    def _queued(self, session: str | None) -> Waiter:
        if len(self._queue) >= self._max_queue:
            raise PoolSaturated(f"{len(self._queue)} calls are waiting already")
        waiter = Waiter(session)
        self._queue[waiter] = None
        self._changed.notify_all()
        return waiter

    def _wait(self, waiter: Waiter, patience: float) -> PoolWorker:
        try:
            return waiter.result(patience)
        except TimeoutError:
            with self._changed:
                if waiter in self._queue:  # From here on nobody gives it a worker, so it is never done.
                    del self._queue[waiter]
                    self._metrics["pool_timeouts"] += 1
                    raise PoolTimeout(f"no worker was free within {patience:.3g} s; {self._status()}") from None
            return waiter.result()

    def _checkin(self, worker: PoolWorker, ended: str | None = None) -> None:
        """Take a worker back. If a session has ended on it, that has to be known before somebody else gets it."""
        with self._changed:
            if ended in worker.sessions:
                worker.sessions.discard(ended)
                del self._pins[ended]
            if worker.port.alive:
                worker.checkin()
                self._hand_over(worker)
            else:
                self._bury(worker)
            self._changed.notify_all()

    def _hand_over(self, worker: PoolWorker) -> None:
        """Give it to the first that waits and may have it: one whose session lives elsewhere may not."""
        if worker.status != "ready":
            return
        for waiter in self._queue:
            if waiter.session is None or self._pins.get(waiter.session, worker) is worker:
                del self._queue[waiter]
                waiter.set_result(self._given(worker, waiter.session))
                return
        self._retire_if_spare(worker)

    # Who comes and goes ------------------------------------------------------------------------------------------

    def _start_temporary(self, session: str | None) -> PoolWorker:
        try:
            with self._changed:
                self._temporaries += 1
                name = f"temporary_{self._temporaries}"
            worker = PoolWorker.init_worker(name, self._factory)
            worker.temporary = True
        except PortError as error:
            raise PoolError(f"no worker could be started: {error}") from error
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
        return self._add(worker, (session,))

    def _add(self, worker: PoolWorker, given: tuple[str | None, ...] = ()) -> PoolWorker:
        """Let *worker* be one of the pool, given to a session if there is one, and else to who waits."""
        with self._changed:
            over = self._over
            if over is None:
                self._ports.add(worker.port)
                self._workers[worker.worker_id] = worker
                if given:
                    self._given(worker, *given)
                else:
                    self._hand_over(worker)
                self._changed.notify_all()
        if over is not None:
            worker.port.close()
            raise copy.copy(over)
        worker.port.when_ended(partial(self._ended, worker))
        return worker

    def _retire_if_spare(self, worker: PoolWorker) -> None:
        if worker.temporary and not worker.sessions and worker.status == "ready":
            worker.died()
            del self._workers[worker.worker_id]
            self._changed.notify_all()
            self._jobs.put(worker.port.close)

    def _ended(self, worker: PoolWorker) -> None:
        with self._changed:
            self._bury(worker)
            self._ports.discard(worker.port)
            self._changed.notify_all()

    def _bury(self, worker: PoolWorker) -> None:
        """Take out a worker that has died, with all that lived on it, and see to its replacement."""
        if worker.status == "dead":
            return
        worker.died()
        del self._workers[worker.worker_id]
        self._lose(worker.sessions)
        if self._over is None and self._may_restart():
            self._metrics["deaths"] += 1
            if not worker.temporary:
                self._jobs.put(partial(self._replace, worker.worker_id, worker.generation + 1))

    def _lose(self, sessions: set[str]) -> None:
        self._metrics["sessions_lost"] += len(sessions)
        self._lost |= sessions
        for session in sessions:
            del self._pins[session]
        for waiter in [each for each in self._queue if each.session in sessions]:
            self._lost.discard(str(waiter.session))  # It is told now.
            self._tell(waiter, SessionLost(f"the worker that the session {waiter.session!r} lived on has died"))

    def _tell(self, waiter: Waiter, error: Exception) -> None:
        del self._queue[waiter]
        waiter.set_exception(error)

    def _may_restart(self) -> bool:
        """Note a death; the pool is over if that is one too many."""
        reason = self._intensity.exceeded()
        if reason is None:
            return True
        self._finish(RestartIntensityExceeded(reason))
        self._jobs.put(self._close_workers)
        return False

    def _replace(self, worker_id: str, generation: int) -> None:
        try:
            self._add(PoolWorker.init_worker(worker_id, self._factory, generation=generation))
        except PoolClosed:
            return
        except PortError:
            with self._changed:
                self._metrics["failed_starts"] += 1
                if self._over is None and self._may_restart():
                    self._jobs.put(partial(self._replace, worker_id, generation))
            return
        with self._changed:
            self._metrics["restarts"] += 1
            self._changed.notify_all()

    def _supervise(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    # The end -----------------------------------------------------------------------------------------------------

    def close(self, grace: float = 1.0) -> None:
        """End all workers, and return when nothing is left of them.

        Calls that wait fail. A worker gets *grace* seconds for what it is doing, as many again when it is told to end,
        and is killed then.
        """
        with self._changed:
            self._finish(PoolClosed("the pool is closed"))
        self._jobs.put(None)
        self._supervisor.join()
        self._close_workers(grace)
        with self._changed:
            self._changed.wait_for(lambda: not self._starting)

    def _finish(self, why: PoolClosed) -> None:
        self._over = self._over or why
        for waiter in list(self._queue):
            self._tell(waiter, copy.copy(self._over))
        self._changed.notify_all()

    def _close_workers(self, grace: float = 0.0) -> None:
        with self._changed:
            ports = list(self._ports)
        close_ports(ports, grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
