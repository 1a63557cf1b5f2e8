"""`WorkerPool`: so many workers, each replaced when it dies, and calls that get the least busy one."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from worker_pool import wire
from worker_pool.deadline import Deadline
from worker_pool.errors import (
    CallTimeout,
    PoolClosed,
    PoolError,
    QueueTimeout,
    RestartIntensityExceeded,
    WorkerLost,
    WorkerStartError,
)
from worker_pool.scheduler import Affinity, Scheduler, Ticket
from worker_pool.stream import Stream
from worker_pool.worker import COMMAND, Worker


@dataclass(frozen=True)
class Heartbeat:
    """How often a worker is asked whether it is well, how long that may take, and how often it may fail to."""

    interval: float = 0.1
    timeout: float = 0.3
    misses: int = 2


@dataclass(frozen=True)
class Cleanup:
    """What became of sessions: ended by their workers, lost with them before, or neither."""

    ended: list[str]
    lost: list[str]
    errors: dict[str, PoolError]


@dataclass(eq=False)
class _Slot:
    """The place of a worker, which stays when the worker is replaced."""

    id: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 0
    worker: Any = None
    ready: bool = False
    thread: threading.Thread | None = None


class WorkerPool:
    """A pool of supervised workers, which are processes.

    Each worker has a thread that starts it, watches it, and replaces it. Calls block in the thread of the caller.

    Args:
        size: How many workers there are.
        threads: How many calls a worker has at once.
        affinity: What a call does whose session lives in a busy worker; see `Affinity`.
        queue_timeout: Seconds that a call waits for a worker, at most.
        max_queue: How many calls may wait.
        batch: How many workers are started at once.
        heartbeat: Ask workers whether they are well; without, only those are asked that a call had trouble with.
        max_restarts: How many workers may die within `window` seconds; with one more, the pool gives up.
        start_timeout: Seconds in which a worker has to be ready.
        grace: Seconds that a worker has to end when it is asked to.
        dial: Returns the address at which a worker is called, for what stands between.
        interceptors: Of gRPC, for all calls.
        on_event: Told of all that happens to workers, by name and details.
        command: Starts a worker.
        start: Makes what behaves like a `Worker`.
    """

    def __init__(
        self,
        size: int = 4,
        *,
        threads: int = 4,
        affinity: Affinity | str = Affinity.STRICT_QUEUE,
        queue_timeout: float = 5.0,
        max_queue: int = 1_000,
        batch: int = 8,
        heartbeat: Heartbeat | None = None,
        max_restarts: int = 3,
        window: float = 5.0,
        start_timeout: float = 20.0,
        grace: float = 1.0,
        dial: Callable[[Worker], str] | None = None,
        interceptors: Sequence[Any] = (),
        on_event: Callable[[str, dict[str, Any]], object] | None = None,
        command: Sequence[str] = COMMAND,
        start: Callable[..., Any] = Worker,
    ) -> None:
        if size < 1 or threads < 1:
            raise ValueError(f"a pool needs a worker, and a worker a thread, got size={size} and threads={threads}")
        self.run_id = uuid.uuid4().hex
        self.size = size
        self.retries = 0
        self._threads = threads
        self._queue_timeout = queue_timeout
        self._heartbeat = heartbeat
        self._max_restarts = max_restarts
        self._window = window
        self._start_timeout = start_timeout
        self._grace = grace
        self._on_event = on_event or (lambda *_: None)
        self._start = partial(
            start, run_id=self.run_id, threads=threads, command=command, dial=dial, interceptors=interceptors
        )
        self._batch = threading.Semaphore(batch)
        self._scheduler = Scheduler(Affinity(affinity), max_queue)
        self._slots = [_Slot(f"worker-{number}") for number in range(size)]
        self._deaths: deque[float] = deque()
        self._changed = threading.Condition()
        self.over: PoolError | None = None

    # Calls ---------------------------------------------------------------------------------------------------------

    def execute(
        self, tool: str, args: Any = None, *, session: str | None = None, timeout: float = 5.0, attempts: int = 1
    ) -> Any:
        """Return what a tool returns.

        With more than one attempt, a call whose worker is lost or silent is made again by another worker, within the
        one timeout. It is for the caller to know whether the tool may run twice.

        Raises:
            PoolError: See `worker_pool.errors`, which has a name for each way to fail.
        """
        if attempts < 1:
            raise ValueError(f"a call needs at least one attempt, got attempts={attempts}")
        body = wire.request(tool, args, session)
        deadline = Deadline(timeout, attempts)
        failed: dict[Any, PoolError] = {}
        for attempt in range(attempts):
            if attempt:
                with self._changed:
                    self.retries += 1
            ticket = self._ticket(session, failed, deadline)
            worker: Any = ticket.worker
            try:
                return worker.call(body, deadline.share(attempt))
            except (WorkerLost, CallTimeout) as error:
                self._suspect(worker)
                failed[worker] = error
            finally:
                self._scheduler.release(ticket)
        raise next(reversed(failed.values()))

    def execute_stream(
        self, tool: str, args: Any = None, *, session: str | None = None, timeout: float = 30.0
    ) -> Stream:
        """Return the chunks of a tool that streams, an iterator. Closing it cancels the tool and frees the worker."""
        deadline = Deadline(timeout)
        ticket = self._ticket(session, {}, deadline)
        worker: Any = ticket.worker

        def end(error: PoolError | None) -> None:
            if isinstance(error, (WorkerLost, CallTimeout)):
                self._suspect(worker)
            self._scheduler.release(ticket)

        try:
            stream: Stream = worker.stream(wire.request(tool, args, session), deadline.left())
        except WorkerLost as error:
            end(error)
            raise
        stream.on_end = end
        return stream

    def _ticket(self, session: str | None, failed: dict[Any, PoolError], deadline: Deadline) -> Ticket:
        """Return a ticket with a worker; what has been tried before is told instead of a wait in vain."""
        try:
            ticket = self._scheduler.enter(session, failed)
            if not ticket.decided.wait(min(self._queue_timeout, deadline.left())) and self._scheduler.withdraw(ticket):
                raise QueueTimeout(f"none of {self.size} workers was free in time; {self._scheduler.waiting} wait")
            if ticket.error is not None:
                raise ticket.error
        except QueueTimeout:
            if failed:
                raise next(reversed(failed.values())) from None
            raise
        return ticket

    def _suspect(self, worker: Any) -> None:
        """Keep calls away from a worker until it is known whether it is well.

        A dead worker fails at once, so it would be the least busy one, and get the next call, and its repetition.
        """
        if self._scheduler.suspect(worker):
            self._tell("worker_suspect", worker)
        worker.nudge()

    # Sessions ------------------------------------------------------------------------------------------------------

    def sessions(self) -> dict[str, str]:
        """Return the worker of each session."""
        return {session: worker.id for session, worker in self._scheduler.sessions().items()}  # type: ignore[attr-defined]

    def cleanup_sessions(self, only: Collection[str] | None = None) -> Cleanup:
        """End sessions, by default all, and return what became of each."""
        cleanup = Cleanup([], [], {})
        known = {**dict.fromkeys(self._scheduler.lost()), **self.sessions()}
        for session in [each for each in known if only is None or each in only]:
            try:
                self.execute("cleanup_session", session=session, attempts=2)
                cleanup.ended.append(session)
            except PoolError as error:
                if session in self._scheduler.sessions():
                    cleanup.errors[session] = error
                    continue
                cleanup.lost.append(session)
            self._scheduler.forget(session)
        return cleanup

    # The workers -----------------------------------------------------------------------------------------------------

    def workers(self) -> list[Any]:
        """Return the workers that serve; one may have died just now, which its `alive()` knows."""
        return [slot.worker for slot in self._slots if slot.ready]

    def await_size(self, size: int, timeout: float) -> bool:
        """Wait until so many workers serve, and say whether they do."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(sum(each.alive() for each in self.workers()) == size), timeout)

    def start(self) -> Self:
        """Start all workers, and return when they serve.

        Raises:
            WorkerStartError: One did not; the others have been stopped.
        """
        for slot in self._slots:
            slot.thread = threading.Thread(target=self._mind, args=(slot,), name=f"{slot.id}-minder", daemon=True)
            slot.thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self.over is not None or all(slot.ready for slot in self._slots))
        if self.over is not None:
            self.close()
            raise self.over
        return self

    def close(self) -> None:
        """Let all calls that wait fail, and return when no worker is left."""
        self._give_up(PoolClosed("the pool is closed"))
        for slot in self._slots:
            if slot.thread is not None:
                slot.thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Minding one worker --------------------------------------------------------------------------------------------

    def _mind(self, slot: _Slot) -> None:
        """Have a worker in *slot* until the pool is over; what goes wrong here is the end of it, and leaves none."""
        try:
            self._keep(slot)
        except BaseException as error:
            self._give_up(PoolError(f"nobody minds {slot.id} any more: {error!r}"))
            raise
        finally:
            if slot.worker is not None:
                slot.worker.stop(self._grace)

    def _keep(self, slot: _Slot) -> None:
        while self.over is None:
            worker = None
            try:
                with self._batch:
                    if (worker := self._spawned(slot)) is None:
                        return
                    worker.await_ready(self._start_timeout)
                self._put_to_work(slot, worker)
                self._attend(worker)
            except WorkerStartError as error:
                self._tell("worker_not_started", worker, id=slot.id, reason=str(error))
                if slot.generation == 1:
                    self._give_up(error)
            if worker is not None:
                self._bury(slot, worker)
            self._count_death()

    def _spawned(self, slot: _Slot) -> Any:
        """Return the next worker of *slot*, or `None` if there is to be none."""
        with slot.lock:  # So that who gives up either sees the worker, or prevents it.
            if self.over is not None:
                return None
            slot.generation += 1
            slot.worker = self._start(slot.id, slot.generation)
        self._tell("worker_started", slot.worker)
        return slot.worker

    def _put_to_work(self, slot: _Slot, worker: Any) -> None:
        self._scheduler.join(worker, self._threads)
        slot.ready = True
        self._tell("worker_ready", worker)

    def _attend(self, worker: Any) -> None:
        """Return when *worker* is dead, or the pool is over; kill it if it is not well."""
        beat = self._heartbeat or Heartbeat()
        interval = self._heartbeat and beat.interval
        misses = 0
        while self.over is None:
            if worker.has_ended(0.0 if misses else interval) or self.over is not None:
                return
            if worker.is_healthy(beat.timeout):
                misses = 0
                if self._scheduler.trust(worker):
                    self._tell("worker_trusted", worker)
                continue
            misses += 1
            if self._scheduler.suspect(worker):
                self._tell("worker_suspect", worker)
            if misses >= beat.misses:
                worker.kill()

    def _bury(self, slot: _Slot, worker: Any) -> None:
        lost = self._scheduler.leave(worker)
        slot.ready = False
        status = worker.stop(self._grace)
        self._tell("worker_down", worker, status=status, sessions_lost=len(lost))

    def _count_death(self) -> None:
        with self._changed:
            now = time.monotonic()
            self._deaths.append(now)
            while self._deaths[0] < now - self._window:
                self._deaths.popleft()
            too_many = len(self._deaths) > self._max_restarts
        if too_many and self.over is None:
            self._give_up(
                RestartIntensityExceeded(f"more than {self._max_restarts} workers died within {self._window:g} s")
            )

    def _give_up(self, error: PoolError) -> None:
        """Be over, because of *error* or of what was first."""
        with self._changed:
            self.over = self.over or error
        self._scheduler.close(self.over)
        for slot in self._slots:
            with slot.lock:
                worker = slot.worker
            if worker is not None:
                worker.nudge() if slot.ready else worker.kill()  # One that has yet to be ready heeds no nudge.
        self._tell("pool_over", None, reason=str(self.over))

    def _tell(self, name: str, worker: Any, **details: Any) -> None:
        if worker is not None:
            details = {"id": worker.id, "generation": worker.generation, "pid": worker.pid, **details}
        try:
            self._on_event(name, details)
        finally:
            with self._changed:
                self._changed.notify_all()
