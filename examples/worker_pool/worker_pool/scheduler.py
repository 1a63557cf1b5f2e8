"""Who gets which worker: a queue, pins of sessions to workers, and workers that are out of the rotation for a while."""

from __future__ import annotations

import enum
import threading
from collections.abc import Container, Hashable
from dataclasses import dataclass, field

from worker_pool.errors import PoolError, Saturated, SessionLost, SessionWorkerUnavailable


class Affinity(enum.Enum):
    """What a call does whose session lives in a worker that is busy."""

    HINT = "hint"
    """It goes to any other worker, which does not know the session."""
    STRICT_QUEUE = "strict_queue"
    """It waits for that worker."""
    STRICT_FAIL_FAST = "strict_fail_fast"
    """It fails at once with `SessionWorkerUnavailable`."""


@dataclass(eq=False)
class Seat:
    """A worker in the rotation: how many calls it may have, how many it has, and whether it can be trusted."""

    worker: Hashable
    capacity: int
    busy: int = 0
    suspect: bool = False
    turn: int = 0

    @property
    def is_free(self) -> bool:
        return not self.suspect and self.busy < self.capacity


@dataclass(eq=False)
class Ticket:
    """A call that has a worker, waits for one, or failed to get one."""

    session: str | None
    avoid: Container[Hashable]
    seat: Seat | None = None
    error: PoolError | None = None
    decided: threading.Event = field(default_factory=threading.Event)

    @property
    def worker(self) -> Hashable:
        """The worker that it was granted."""
        assert self.seat is not None
        return self.seat.worker


class Scheduler:
    """Grants workers to calls: the least busy one, first come first served among those that may have the same worker.

    It starts nothing and never blocks, so it can be shown in a test step by step.
    """

    def __init__(self, affinity: Affinity, max_queue: int) -> None:
        self._affinity = affinity
        self._max_queue = max_queue
        self._seats: dict[Hashable, Seat] = {}
        self._pins: dict[str, Seat] = {}
        self._lost: set[str] = set()
        self._queue: list[Ticket] = []
        self._turns = 0
        self._closed: PoolError | None = None
        self._lock = threading.RLock()

    # Calls ---------------------------------------------------------------------------------------------------------

    def enter(self, session: str | None = None, avoid: Container[Hashable] = ()) -> Ticket:
        """Return a ticket that is decided, or waits.

        Raises:
            PoolError: The call is refused at once: `Saturated`, `SessionLost`, `SessionWorkerUnavailable`, or closed.
        """
        with self._lock:
            if self._closed is not None:
                raise _anew(self._closed)
            if session in self._lost:
                self._lost.discard(session)
                raise SessionLost(f"session {session!r} was lost with its worker")
            ticket = Ticket(session, avoid)
            # Who waits already is served first, unless nobody that waits may have this worker.
            self._queue.append(ticket)
            self._serve()
            if not ticket.decided.is_set():
                self._refuse_to_wait(ticket)
            return ticket

    def _refuse_to_wait(self, ticket: Ticket) -> None:
        if self._affinity is Affinity.STRICT_FAIL_FAST and ticket.session in self._pins:
            self._queue.remove(ticket)
            raise SessionWorkerUnavailable(f"the worker of session {ticket.session!r} is busy")
        if len(self._queue) > self._max_queue:
            self._queue.remove(ticket)
            raise Saturated(f"{self._max_queue} calls wait already")

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a ticket out of the queue, and say whether it was still in there."""
        with self._lock:
            if ticket.decided.is_set():
                return False
            self._queue.remove(ticket)
            return True

    def release(self, ticket: Ticket) -> None:
        """Give the worker of a ticket back."""
        with self._lock:
            assert ticket.seat is not None
            ticket.seat.busy -= 1
            self._serve()

    def _serve(self) -> None:
        waiting = []
        for ticket in self._queue:
            seat = self._seat_for(ticket)
            if seat is None:
                waiting.append(ticket)
                continue
            self._turns += 1
            seat.turn, seat.busy = self._turns, seat.busy + 1
            if ticket.session is not None:
                self._pins.setdefault(ticket.session, seat)
            ticket.seat = seat
            ticket.decided.set()
        self._queue = waiting

    def _seat_for(self, ticket: Ticket) -> Seat | None:
        pinned = self._pins.get(ticket.session) if ticket.session is not None else None
        if pinned is not None:
            if pinned.is_free and pinned.worker not in ticket.avoid:
                return pinned
            if self._affinity is not Affinity.HINT:
                return None
        free = [seat for seat in self._seats.values() if seat.is_free and seat.worker not in ticket.avoid]
        return min(free, key=lambda seat: (seat.busy, seat.turn), default=None)

    # Workers -------------------------------------------------------------------------------------------------------

    def join(self, worker: Hashable, capacity: int) -> None:
        """Put a worker into the rotation."""
        with self._lock:
            self._seats[worker] = Seat(worker, capacity)
            self._serve()

    def suspect(self, worker: Hashable) -> bool:
        """Take a worker out of the rotation until it is trusted again, and say whether it was in."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is None or seat.suspect:
                return False
            seat.suspect = True
            return True

    def trust(self, worker: Hashable) -> bool:
        """Put a suspect back into the rotation, and say whether it was out."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is None or not seat.suspect:
                return False
            seat.suspect = False
            self._serve()
            return True

    def leave(self, worker: Hashable) -> list[str]:
        """Take a dead worker out for good, and return the sessions that are lost with it.

        The calls that wait for them fail now; of the others, the next call of each does.
        """
        with self._lock:
            seat = self._seats.pop(worker, None)
            lost = [session for session, pinned in self._pins.items() if pinned is seat]
            self._lost.update(lost)
            for session in lost:
                del self._pins[session]
            for ticket in [each for each in self._queue if each.session in self._lost]:
                self._fail(ticket, SessionLost(f"session {ticket.session!r} was lost with its worker"))
                self._lost.discard(ticket.session or "")
            return lost

    # Sessions ------------------------------------------------------------------------------------------------------

    def sessions(self) -> dict[str, Hashable]:
        with self._lock:
            return {session: seat.worker for session, seat in self._pins.items()}

    def forget(self, session: str) -> bool:
        """Forget a session, and say whether it had been lost."""
        with self._lock:
            self._pins.pop(session, None)
            was_lost = session in self._lost
            self._lost.discard(session)
            return was_lost

    def lost(self) -> list[str]:
        with self._lock:
            return sorted(self._lost)

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._queue)

    # The end -------------------------------------------------------------------------------------------------------

    def close(self, error: PoolError) -> None:
        """Let all that wait, and all that come, fail with *error*."""
        with self._lock:
            self._closed = error
            for ticket in list(self._queue):
                self._fail(ticket, _anew(error))

    def _fail(self, ticket: Ticket, error: PoolError) -> None:
        self._queue.remove(ticket)
        ticket.error = error
        ticket.decided.set()


def _anew(error: PoolError) -> PoolError:
    """Return the same error for another caller: one that is raised again and again keeps the traceback of each time."""
    return type(error)(*error.args)
