"""`Crew`: the parent's event loop. It hands out work, hears what becomes of it, and replaces who dies."""

from __future__ import annotations

import contextlib
import selectors
import signal
import time
from collections.abc import Callable
from typing import Any

from supertester.runner import wire
from supertester.runner.desks import Desk, Task, death, how_it_ended, names_of, ran_out, with_output, with_stacks
from supertester.runner.forking import DUMP, RAISE
from supertester.runner.interrupts import Interrupts
from supertester.runner.ledger import Ledger
from supertester.runner.nursery import Nursery
from supertester.runner.outcomes import Problem, Running, TestOutcome
from supertester.runner.plan import Plan, Settings, Unit
from supertester.runner.queue import Queue

__all__ = ["Crew"]

_LOOK = 0.25
"""Seconds between two looks at what is running."""
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
        self._grace = grace
        self._max_restarts = max_restarts
        self._desks: dict[int, Desk] = {}
        self._deaths = 0
        self._fruitless = 0
        self._heeded = 0
        self._why_given_up = ""
        self._suspects: set[int] = set()
        """The positions of tests that ran when their worker died, together with others."""
        self._next_look = self._next_word = 0.0
        self.stopped = ""
        """Why tests were left out, if they were."""
        self.interrupted = False

    def run(self) -> None:
        """Run the plan; then every test has an outcome, unless the run was stopped."""
        with selectors.DefaultSelector() as self._selector, Interrupts() as self._interrupts:
            self._listen(self._nursery.control, self._hear_zygote)
            self._listen(self._interrupts.reader, self._heed)
            self._rounds()
            if self._suspects:
                self._find_culprits()
        if not (self.stopped or self.interrupted):
            for position in sorted(self._ledger.open):
                self._ledger.lose(position, "not run: " + (self._why_given_up or "no worker took it"))

    def _rounds(self) -> None:
        while units := self._open_units():
            before = len(self._ledger.open) - len(self._suspects)
            self._round(units, self._jobs)
            if self._is_ending or len(self._ledger.open) - len(self._suspects) == before:
                break

    def _find_culprits(self) -> None:
        """Run those again, one by one, of which one ended the process of all."""
        suspects, self._suspects = sorted(self._suspects), set()
        self._ledger.note(f"running {len(suspects)} tests one by one: a worker died while it ran them all")
        self._nursery.plan(self._settings.one_by_one(), self._plan.tests)
        while not self._is_ending and (left := [each for each in suspects if each in self._ledger.open]):
            self._round([Unit(position, position + 1) for position in left], 1)
            if left == [each for each in suspects if each in self._ledger.open]:
                break

    @property
    def _is_ending(self) -> bool:
        return bool(self.stopped or self.interrupted or self._why_given_up)

    def _open_units(self) -> list[Unit]:
        found = (self._open_in(unit.start, unit.stop) for unit in self._plan.units)
        return [unit for units in found for unit in units]

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
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._queue.writer)
            self._queue.close()

    # One turn --------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        for key, _ in self._selector.select(max(0.0, self._next_look - time.monotonic())):
            key.data()
        if time.monotonic() >= self._next_look:
            self._look(time.monotonic())
        if not self._left or self.stopped or self.interrupted:
            self._queue.empty()
            self._finish_queue()

    @property
    def _left(self) -> int:
        """How many tests of this round have no outcome yet, but for those that it leaves to another."""
        return len(self._ledger.open) - self._outside - len(self._suspects)

    def _finish_queue(self) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._queue.writer)
        self._queue.finish()

    def _listen(self, file: Any, heard: Callable[[], object], event: int = selectors.EVENT_READ) -> None:
        self._selector.register(file, event, heard)

    def _listen_for_room(self) -> None:
        if self._queue.has_waiting:
            self._listen(self._queue.writer, self._fill, selectors.EVENT_WRITE)

    def _fill(self) -> None:
        self._queue.fill()
        if not self._queue.has_waiting:
            self._selector.unregister(self._queue.writer)

    # Workers come and go ---------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        desk = Desk(self._nursery.fork(self._queue.reader))
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

    def _end(self, desk: Desk) -> None:
        for message in desk.worker.inbox.drain():
            self._take(desk, *message)
        died = desk.leaving is None or desk.worker.status != 0
        rest = self._bury(desk) if died else []
        self._dismiss(desk)
        if not died:
            return
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

    def _give_up(self, why: str) -> None:
        if not self._why_given_up:
            self._why_given_up = why
            self._ledger.note(f"no more workers: {why}")
        self._queue.empty()
        self._finish_queue()

    # What workers say ------------------------------------------------------------------------------------------------

    def _hear(self, desk: Desk) -> None:
        if desk.worker.number not in self._desks:
            return  # The zygote, heard just before, said that it has ended.
        for message in desk.worker.inbox.receive():
            self._take(desk, *message)
        if desk.worker.inbox.closed:
            with contextlib.suppress(KeyError):
                self._selector.unregister(desk.worker.inbox.channel)  # How it ended, the zygote knows.

    def _take(self, desk: Desk, kind: str, slot: int, *values: Any) -> None:
        desk.has_begun = True
        if kind == "d":
            self._take_outcome(desk, slot, *values)
        elif kind == "s":
            position, at = values
            test = self._plan.tests[position]
            task = desk.tasks[slot]
            task.position = position
            task.run(test.test_id, self._settings.limit_of(test), is_test=True)
            self._ledger.started(position, desk.worker.number, at)
        elif kind == "u":
            desk.tasks[slot] = Task(Unit(*values))
        elif kind == "f":
            name, is_tear_down = values
            task = desk.tasks.setdefault(slot, Task(Unit(0, 0)))
            task.run(name, self._settings.timeout, is_tear_down=is_tear_down)
        elif kind == "e":
            desk.tasks.pop(slot, None)
        else:
            self._take_other(desk, kind, values)

    def _take_outcome(self, desk: Desk, slot: int, position: int, data: tuple[Any, ...]) -> None:
        task = desk.tasks[slot]
        task.rest()
        task.position = position + 1
        test = self._plan.tests[position]
        if task.position >= task.unit.stop and (test.fixture is None or self._settings.keep_set_up):
            del desk.tasks[slot]
        outcome = wire.outcome_from(data, test, worker=desk.worker.number)
        if outcome.outcome == "timeout":
            outcome = with_stacks(outcome, desk.worker.stacks())
        self._ledger.enter(position, with_output(outcome, desk.worker.capture.carry(outcome.output)))

    def _take_other(self, desk: Desk, kind: str, values: tuple[Any, ...]) -> None:
        if kind == "x":
            test_id, data = values
            self._ledger.enter(None, wire.outcome_from(data, None, worker=desk.worker.number, test_id=test_id))
        elif kind == "o":
            self._ledger.wrote(desk.worker.number, values[0])
        elif kind == "stop":
            self._stop(values[0])
        elif kind == "bye":
            desk.leaving = time.monotonic()
            desk.tasks.clear()

    # Deaths ----------------------------------------------------------------------------------------------------------

    def _bury(self, desk: Desk) -> list[Unit]:
        """Enter what a dead worker was doing, and return what it has left to others."""
        output = desk.worker.capture.take()
        stacks = desk.stacks + desk.worker.stacks()
        rest: list[Unit] = []
        if not desk.tasks and not self._is_over_for(desk):
            self._ledger.note(f"worker {desk.worker.number} {how_it_ended(desk.worker.status)} between tests")
        if desk.leaving is not None and not desk.killed:
            problem = death(desk, f"worker {desk.worker.number}, at its end", stacks)
            self._ledger.fixture(
                f"the end of worker {desk.worker.number}", "crashed", problem, worker=desk.worker.number
            )
        running = [task for task in desk.tasks.values() if task.is_test and task.runs is not None]
        if len(running) > 1 and not desk.killed:
            self._suspects.update(task.position for task in running)
        for task in desk.tasks.values():
            rest += self._bury_task(desk, task, stacks, output)
        return rest

    def _is_over_for(self, desk: Desk) -> bool:
        return self.interrupted or desk.leaving is not None

    def _bury_task(self, desk: Desk, task: Task, stacks: str, output: str) -> list[Unit]:
        is_innocent = desk.killed and not task.rung and not self._heeded
        if task.runs is None or is_innocent or (task.is_test and task.position in self._suspects):
            return self._open_in(task.position, task.unit.stop)
        if self._heeded > 1:
            if task.is_test:
                self._ledger.lose(task.position, "interrupted while it ran")
            return []
        outcome: Any = "timeout" if task.rung else "crashed"
        problem = ran_out(task, stacks) if task.rung else death(desk, task.runs, stacks)
        if task.is_test:
            self._enter_dead(desk, task, outcome, problem, output)
            return self._open_in(task.position + 1, task.unit.stop)
        self._ledger.fixture(task.runs, outcome, problem, worker=desk.worker.number, output=output)
        if task.is_tear_down:
            return self._open_in(task.position, task.unit.stop)
        self._lose_fixture(task)
        return []

    def _enter_dead(self, desk: Desk, task: Task, outcome: Any, problem: Problem, output: str) -> None:
        declared = self._plan.tests[task.position]
        took = time.monotonic() - task.since
        self._ledger.enter(
            task.position,
            TestOutcome(
                test_id=declared.test_id,
                outcome=outcome,
                declared=declared,
                started=time.time() - took,
                duration=took,
                worker=desk.worker.number,
                attempt=declared.attempt,
                problems=(problem,),
                output=output,
            ),
        )

    def _lose_fixture(self, task: Task) -> None:
        """Lose the tests whose fixture a worker died of: it would cost another worker each time."""
        first = self._plan.tests[task.position]
        lost = {
            position
            for position in self._ledger.open
            if position == task.position
            or (self._plan.tests[position].fixture, self._plan.tests[position].attempt)
            == (first.fixture, first.attempt)
        }
        for position in sorted(lost):
            self._ledger.lose(position, f"not run: its worker died in {task.runs}")
        self._suspects -= lost
        self._queue.put([unit for unit in self._queue.empty() if unit.start not in lost])

    def _open_in(self, start: int, stop: int) -> list[Unit]:
        open_, suspects = self._ledger.open, self._suspects
        left = [position for position in range(start, stop) if position in open_ and position not in suspects]
        return [Unit(left[0], left[-1] + 1)] if left else []

    # Time ------------------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Look at what is running, and climb the ladder with what has run for too long."""
        self._next_look = now + _LOOK
        for desk in list(self._desks.values()):
            desk.worker.capture.limit()
            for task in desk.tasks.values():
                if task.runs is not None and now >= task.due:
                    self._climb(desk, task, now)
                self._next_look = min(self._next_look, max(task.due, now + 0.01))
            if desk.leaving is not None and now > desk.leaving + 2 * self._grace and not desk.killed:
                self._ledger.note(f"worker {desk.worker.number} did not end after its tests; it was killed")
                self._kill(desk)
        is_idle = self._queue.is_empty and not any(desk.tasks for desk in self._desks.values())
        if is_idle and self._was_idle:
            self._finish_queue()  # What is still open was lost with a worker that could not say what it had taken.
        self._was_idle = is_idle
        if now >= self._next_word:
            self._next_word = now + 1.0
            self._ledger.running(self._running(now))

    def _running(self, now: float) -> list[Running]:
        found = [
            Running(test_id=task.runs, worker=desk.worker.number, seconds=now - task.since)
            for desk in self._desks.values()
            for task in desk.tasks.values()
            if task.runs is not None
        ]
        return sorted(found, key=lambda each: -each.seconds)

    def _climb(self, desk: Desk, task: Task, now: float) -> None:
        task.rung += 1
        if DUMP is not None and task.rung <= 3:
            self._nursery.signal(desk.worker, DUMP)
        if RAISE is not None and task.rung <= 2:
            self._nursery.signal(desk.worker, RAISE)
            task.due = now + self._grace
        elif task.rung <= 3:
            task.due = now + min(1.0, self._grace)  # For the stacks to be written.
        else:
            self._kill(desk)
            task.due = float("inf")

    def _kill(self, desk: Desk) -> None:
        desk.stacks += desk.worker.stacks()
        desk.killed = True
        self._nursery.signal(desk.worker, signal.SIGKILL, whole_group=True)

    # Ends ------------------------------------------------------------------------------------------------------------

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        for desk in self._desks.values():
            desk.worker.tell("stop")

    def _heed(self) -> None:
        self._interrupts.silence()
        asked, self._heeded = self._heeded, self._interrupts.asked
        self.interrupted = True
        for desk in list(self._desks.values()):
            self._hear(desk)  # So that the names of those that run are right.
        running = self._running(time.monotonic())
        if self._heeded > 1:
            self._ledger.note(f"interrupted; ended at once: {names_of(running)}")
            for desk in list(self._desks.values()):
                self._kill(desk)
        elif asked == 0:
            self._ledger.note(f"interrupted; waiting for {names_of(running)}; once more ends that at once")
            for desk in self._desks.values():
                desk.worker.tell("stop")
