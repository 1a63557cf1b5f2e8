"""`Crew`: the parent's event loop. It hands out work, hears what becomes of it, and replaces who dies."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable, Collection
from typing import Any

from supertester.runner.deaths import Deaths
from supertester.runner.desks import Desk, names_of
from supertester.runner.hearing import Hearing
from supertester.runner.interrupts import Interrupts
from supertester.runner.ledger import NOT_BEGUN, Ledger
from supertester.runner.nursery import Nursery
from supertester.runner.plan import Plan, Settings, Unit
from supertester.runner.queue import Queue
from supertester.runner.remaining import Remaining
from supertester.runner.timekeeping import Timekeeping, running

__all__ = ["Crew"]

_FRUITLESS = 3
"""Workers that may die one after the other before they have run anything."""


class Crew:
    """Runs a plan with worker processes.

    Args:
        nursery: Where workers come from; it knows the plan.
        plan: What to run.
        settings: What the workers know.
        ledger: Where outcomes go.
        jobs: How many workers.
        grace: Seconds for each rung of the ladder of timeouts beyond the first.
        max_restarts: How many workers may die.
    """

    def __init__(
        self,
        nursery: Nursery,
        plan: Plan,
        settings: Settings,
        ledger: Ledger,
        *,
        jobs: int,
        grace: float,
        max_restarts: int,
    ) -> None:
        self._nursery = nursery
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._jobs = jobs
        self._max_restarts = max_restarts
        self._remaining = Remaining(plan, ledger)
        self._hearing = Hearing(plan, settings, ledger, self._stop)
        self._burial = Deaths(plan, ledger, self._remaining, self._take_back)
        self._time = Timekeeping(nursery, ledger, grace=grace, limit=settings.timeout)
        self._desks: dict[int, Desk] = {}
        self._deaths = 0
        self._fruitless = 0
        self._heeded = 0
        self._is_shared = settings.threads > 1
        self._why_given_up = ""
        self.stopped = ""
        """Why tests were left out, if they were."""
        self.interrupted = False

    def run(self) -> None:
        """Run the plan; then every test has an outcome, unless a test or ``--failfast`` stopped the run."""
        with selectors.DefaultSelector() as self._selector, Interrupts() as self._interrupts:
            self._listen(self._nursery.control, self._hear_zygote)
            self._listen(self._interrupts.reader, self._heed)
            self._rounds()
            if self._remaining.suspects:
                self._find_culprits()
            self._burial.enter_unexplained()
        if self.interrupted:
            self._ledger.lose_rest(NOT_BEGUN)
        elif not self.stopped:
            self._ledger.lose_rest("not run: " + (self._why_given_up or "no worker took it"))

    # Rounds ----------------------------------------------------------------------------------------------------------

    def _rounds(self) -> None:
        while units := self._remaining.units():
            before = len(self._remaining)
            self._round(units, self._jobs)
            if self._is_ending or len(self._remaining) == before:
                break

    def _find_culprits(self) -> None:
        """Run those again, one by one, of which one ended the process of all."""
        suspects, self._remaining.suspects = sorted(self._remaining.suspects), set()
        which = f"{len(suspects)} tests one by one" if len(suspects) > 1 else "1 test alone"
        self._ledger.note(f"running {which}: a worker died while it ran {'them all' if len(suspects) > 1 else 'it'}")
        self._is_shared = False
        self._nursery.plan(self._settings.one_by_one(), self._plan.tests)
        while not self._is_ending and (left := [each for each in suspects if each in self._remaining]):
            self._round([Unit(position, position + 1) for position in left], 1)
            if left == [each for each in suspects if each in self._remaining]:
                break

    @property
    def _is_ending(self) -> bool:
        return bool(self.stopped or self.interrupted or self._why_given_up)

    def _round(self, units: list[Unit], jobs: int) -> None:
        """Hand out *units* until nobody works any more.

        One that was lost on its way, as its worker died before it could say that it has it, needs another round.
        """
        self._outside = len(self._ledger.open) - sum(unit.stop - unit.start for unit in units)
        self._was_idle = False
        self._queue = Queue()
        try:
            self._queue.put(units)
            self._listen_for_room()
            for _ in range(min(jobs, len(units))):
                self._hire()
            while self._desks:
                self._turn()
        finally:
            for desk in list(self._desks.values()):
                self._dismiss(desk)
            self._ignore_room()
            self._queue.close()

    # One turn --------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        for key, _ in self._selector.select(max(0.0, self._time.next_look - time.monotonic())):
            key.data()
        if (now := time.monotonic()) >= self._time.next_look:
            self._time.look(list(self._desks.values()), now)
            self._look_for_idleness()
        if not self._left:
            self._empty_queue()

    @property
    def _left(self) -> int:
        """How many tests of this round have no outcome yet, but for those that it leaves to another."""
        return len(self._remaining) - self._outside

    def _look_for_idleness(self) -> None:
        is_idle = self._queue.is_empty and not any(desk.tasks for desk in self._desks.values())
        if is_idle and self._was_idle:
            self._finish_queue()  # What is still open was lost with a worker that could not say what it had taken.
        self._was_idle = is_idle

    def _empty_queue(self) -> None:
        self._queue.empty()
        self._finish_queue()

    def _finish_queue(self) -> None:
        self._ignore_room()
        self._queue.finish()

    def _listen(self, file: Any, heard: Callable[[], object], event: int = selectors.EVENT_READ) -> None:
        self._selector.register(file, event, heard)

    def _listen_for_room(self) -> None:
        if self._queue.has_waiting:
            self._listen(self._queue.writer, self._fill, selectors.EVENT_WRITE)

    def _ignore_room(self) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._queue.writer)

    def _fill(self) -> None:
        self._queue.fill()
        if not self._queue.has_waiting:
            self._ignore_room()

    def _take_back(self, positions: Collection[int]) -> None:
        """Take tests out of the queue."""
        self._queue.put([unit for unit in self._queue.empty() if unit.start not in positions])

    # Workers come and go ---------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        desk = Desk(self._nursery.begin(self._queue.reader), is_shared=self._is_shared)
        self._desks[desk.worker.number] = desk
        self._listen(desk.worker.inbox.channel, lambda: self._hear(desk))

    def _dismiss(self, desk: Desk) -> None:
        self._desks.pop(desk.worker.number, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(desk.worker.inbox.channel)
        desk.worker.close()

    def _hear_zygote(self) -> None:
        for _, number, value in self._nursery.events():
            desk = self._desks.get(number)
            if desk is None:
                continue
            desk.worker.status = value
            self._end(desk)
        if self._nursery.inbox.closed:
            self._give_up("the process that begins workers is gone")
            self._selector.unregister(self._nursery.control)
            for desk in list(self._desks.values()):
                self._end(desk)

    def _hear(self, desk: Desk) -> None:
        if desk.worker.number not in self._desks:
            return  # The zygote, heard just before, said that it has ended.
        for message in desk.worker.inbox.receive():
            self._hearing.take(desk, *message)
        if desk.worker.inbox.closed:
            with contextlib.suppress(KeyError):
                self._selector.unregister(desk.worker.inbox.channel)  # How it ended, the zygote knows.

    def _end(self, desk: Desk) -> None:
        for message in desk.worker.inbox.drain():
            self._hearing.take(desk, *message)
        died = desk.leaving is None or desk.worker.status != 0
        rest = self._burial.bury(desk, asked_to_end=self._heeded) if died else []
        self._dismiss(desk)
        if died:
            self._replace(desk, rest)

    def _replace(self, desk: Desk, rest: list[Unit]) -> None:
        self._deaths += 1
        self._fruitless = 0 if desk.has_begun else self._fruitless + 1
        if self._fruitless >= _FRUITLESS:
            self._give_up(f"{_FRUITLESS} workers in a row died before they had run anything")
        elif self._deaths > self._max_restarts:
            self._give_up(f"{self._deaths} workers died, which is more than max_restarts={self._max_restarts}")
        elif not self._is_ending:
            if rest:
                self._queue.put_first(rest)
            if self._left:
                self._hire()

    # Ends ------------------------------------------------------------------------------------------------------------

    def _give_up(self, why: str) -> None:
        if not self._why_given_up:
            self._why_given_up = why
            self._ledger.note(f"no more workers: {why}")
        self._empty_queue()

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._let_none_begin()

    def _let_none_begin(self) -> None:
        self._empty_queue()
        for desk in self._desks.values():
            desk.worker.tell("stop")

    def _heed(self) -> None:
        self._interrupts.silence()
        asked, self._heeded = self._heeded, self._interrupts.asked
        if asked == self._heeded:
            return  # It was some other signal, which the program around this handles.
        self.interrupted = True
        # First of all: who reads the note may let a test end that waits for him, and no worker takes another one then.
        self._let_none_begin()
        for desk in list(self._desks.values()):
            self._hear(desk)  # So that the names of those that run are right.
        now = running(self._desks.values(), time.monotonic())
        if self._heeded > 1:
            self._ledger.note(f"interrupted; ended at once: {names_of(now)}")
            for desk in list(self._desks.values()):
                self._time.kill(desk)
        elif asked == 0:
            self._ledger.note(f"interrupted; waiting for {names_of(now)}; once more ends that at once")
