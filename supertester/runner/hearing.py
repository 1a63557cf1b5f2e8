"""`Hearing`: what workers say, and what that means for the books."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from supertester.runner import wire
from supertester.runner.desks import Desk, Task, with_stacks
from supertester.runner.ledger import Ledger
from supertester.runner.plan import Plan, Settings, Unit

__all__ = ["Hearing"]


class Hearing:
    """Takes the messages of workers.

    Args:
        plan: What they run.
        settings: What they know.
        ledger: Where outcomes go.
        stop: Is called when one of them wants the run to stop, with the reason.
    """

    def __init__(self, plan: Plan, settings: Settings, ledger: Ledger, stop: Callable[[str], None]) -> None:
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._stop = stop

    def take(self, desk: Desk, kind: str, slot: int, *values: Any) -> None:
        """Take one message from *desk*: its kind, which of the worker's slots it is about, and what it says."""
        desk.is_ready = True
        if kind == "ready":
            return
        desk.has_begun = True
        if kind == "d":
            self._outcome(desk, slot, *values)
        elif kind == "s":
            self._start(desk, slot, *values)
        elif kind == "u":
            desk.tasks[slot] = Task(Unit(*values))
        elif kind == "f":
            name, is_tear_down = values
            task = desk.tasks.setdefault(slot, Task(Unit(0, 0)))
            task.run(name, self._settings.timeout, is_tear_down=is_tear_down)
        elif kind == "e":
            desk.tasks.pop(slot, None)
        else:
            self._other(desk, kind, values)

    def _start(self, desk: Desk, slot: int, position: int, at: float) -> None:
        test = self._plan.tests[position]
        task = desk.tasks.setdefault(slot, Task(Unit(position, position + 1)))
        task.position = position
        task.run(test.test_id, self._settings.limit_of(test), is_test=True)
        self._ledger.started(position, desk.worker.number, at)

    def _outcome(self, desk: Desk, slot: int, position: int, data: tuple[Any, ...]) -> None:
        test = self._plan.tests[position]
        task = desk.tasks.get(slot)
        if task is not None:  # Or else it had not said that it began: the outcome counts all the same.
            task.rest()
            task.position = position + 1
            if task.position >= task.unit.stop and (test.fixture is None or self._settings.keep_set_up):
                del desk.tasks[slot]
        outcome = wire.outcome_from(data, test, worker=desk.worker.number)
        if outcome.outcome == "timeout":
            outcome = with_stacks(outcome, desk.worker.stacks())
        self._ledger.enter(position, outcome)

    def _other(self, desk: Desk, kind: str, values: tuple[Any, ...]) -> None:
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
