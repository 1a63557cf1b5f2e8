"""A worker of the pool, as a state machine: it is ready, busy, or dead for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from session_pool.errors import PoolError, PortError, SessionMismatch
from session_pool.port import PythonPort

__all__ = ["PoolWorker", "close_ports", "start_workers"]


@dataclass(eq=False)
class PoolWorker:
    """One worker process, and who may use it. Nothing here waits or locks.

    Attributes:
        worker_id: Its place in the pool, which its replacement gets, too.
        port: The way to its process.
        generation: How many there have been at this place, with this one.
        temporary: Whether it is there only while the pool is short of workers.
        session_id: Whom it serves, while it is busy.
        sessions: Those that live on it.
        operations: How many calls it has had.
        health_failures: How many checks have failed since the last good one.
        last_health_check: When the last good one was, in seconds of ``time.monotonic``.
    """

    worker_id: str
    port: PythonPort
    generation: int = 1
    temporary: bool = False
    status: str = "ready"
    session_id: str | None = None
    sessions: set[str] = field(default_factory=set)
    operations: int = 0
    health_failures: int = 0
    last_health_check: float = 0.0
    started_at: float = field(default_factory=time.time)

    @classmethod
    def init_worker(cls, worker_id: str, port_factory: Callable[[], PythonPort], *, generation: int = 1) -> PoolWorker:
        """Start a worker.

        Raises:
            WorkerInitFailed: That is not possible.
        """
        return cls(worker_id, port_factory(), generation)

    @property
    def id(self) -> str:
        return self.worker_id

    @property
    def pid(self) -> int | None:
        return self.port.pid

    def alive(self) -> bool:
        return self.status != "dead" and self.port.alive

    def checkout(self, session: str | None) -> None:
        """Give it to a call, of *session* or of nobody; a session lives on it from then on.

        Raises:
            SessionMismatch: It serves another session.
            PoolError: It is busy with another call of the same one, or dead.
        """
        if self.status == "busy" and self.session_id != session:
            raise SessionMismatch(f"{self.worker_id} serves the session {self.session_id!r}, not {session!r}")
        if self.status != "ready":
            raise PoolError(f"{self.worker_id} is {self.status}")
        self.status, self.session_id = "busy", session
        self.operations += 1
        if session is not None:
            self.sessions.add(session)

    def checkin(self) -> None:
        """Take it back; one that has died meanwhile stays dead."""
        if self.status == "busy":
            self.status, self.session_id = "ready", None

    def died(self) -> None:
        self.status, self.session_id = "dead", None

    def health_check(self, timeout: float = 1.0) -> bool:
        """Say whether it answers a ping, and count for how long it has not."""
        try:
            self.port.call("ping", timeout=timeout)
        except PortError:
            self.health_failures += 1
            return False
        self.health_failures = 0
        self.last_health_check = time.monotonic()
        return True


def start_workers(count: int, port_factory: Callable[[], PythonPort]) -> list[PoolWorker]:
    """Start *count* workers, several at a time.

    Raises:
        WorkerInitFailed: One cannot be started. None is left.
    """

    def start(number: int) -> PoolWorker | PortError:
        try:
            return PoolWorker.init_worker(f"worker_{number}", port_factory)
        except PortError as error:
            return error

    with ThreadPoolExecutor(min(count, 16)) as threads:
        started = list(threads.map(start, range(1, count + 1)))
    workers = [each for each in started if isinstance(each, PoolWorker)]
    for each in started:
        if isinstance(each, PortError):
            close_ports([worker.port for worker in workers], grace=0.0)
            raise each
    return workers


def close_ports(ports: Iterable[PythonPort], grace: float) -> None:
    """End all at the same time, and return when all have ended; see `PythonPort.close`."""
    ports = list(ports)
    for port in ports:
        port.end_input()
    for port in ports:
        port.close(grace)
