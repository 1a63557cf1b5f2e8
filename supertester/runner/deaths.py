"""`Deaths`: what a worker that died was doing, and who is to blame."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, NamedTuple

from supertester.runner.desks import Desk, Task, death, how_it_ended, ran_out
from supertester.runner.ledger import Ledger
from supertester.runner.outcomes import Problem, TestOutcome
from supertester.runner.plan import Plan, Unit
from supertester.runner.remaining import Remaining

__all__ = ["Deaths"]


class _Unexplained(NamedTuple):
    """A death while several tests may have been at work."""

    worker: int
    suspects: set[int]
    problem: Problem
    output: str


class Deaths:
    """Enters what workers died of.

    Args:
        plan: What they ran.
        ledger: Where outcomes go.
        remaining: What is left to run.
        lost: Is called with the positions of tests that nobody is to run any more.
    """

    def __init__(
        self, plan: Plan, ledger: Ledger, remaining: Remaining, lost: Callable[[Collection[int]], None]
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._remaining = remaining
        self._lost = lost
        self._unexplained: list[_Unexplained] = []

    def bury(self, desk: Desk, *, asked_to_end: int) -> list[Unit]:
        """Enter what a dead worker was doing, and return what it has left to others.

        Args:
            desk: The worker.
            asked_to_end: How often somebody asked the run to end; twice ends all workers.
        """
        output = desk.worker.capture.take()
        stacks = desk.stacks + desk.worker.stacks()
        is_idle = not desk.tasks and not asked_to_end and desk.leaving is None
        # One that had run tests may have died of one of them, which then has passed: that is no run to be called good.
        is_due_to_tests = is_idle and desk.has_begun and not desk.killed and desk.worker.status is not None
        if is_idle and not is_due_to_tests:
            why = "between tests" if desk.is_ready else "before it was ready"
            self._ledger.note(
                f"worker {desk.worker.number} {how_it_ended(desk.worker.status)} {why}{_said(desk, output)}"
            )
        if is_due_to_tests or (desk.leaving is not None and not desk.killed):
            when = "at its end" if desk.leaving is not None else "between tests"
            problem = death(desk, f"worker {desk.worker.number}, {when}", stacks)
            self._ledger.fixture(
                f"the end of worker {desk.worker.number}", "crashed", problem, worker=desk.worker.number
            )
        running = [task for task in desk.tasks.values() if task.is_test and task.runs is not None]
        # The only one that runs may be innocent too: what ends a process can come after the test that called for it.
        if running and not desk.killed and (desk.is_shared or len(running) > 1):
            suspects = {task.position for task in running}
            self._remaining.suspects |= suspects
            names = ", ".join(str(task.runs) for task in running)
            self._unexplained.append(_Unexplained(desk.worker.number, suspects, death(desk, names, stacks), output))
        rest = [self._bury_task(desk, task, stacks, output, asked_to_end) for task in desk.tasks.values()]
        return [unit for units in rest for unit in units]

    def enter_unexplained(self) -> None:
        """Enter the deaths that no test was seen to cause when it ran alone: a run of which one died has not passed."""
        crashed = {id(each.declared) for each in self._ledger.outcomes if each.outcome == "crashed"}
        for number, suspects, problem, output in self._unexplained:
            if any(id(self._plan.tests[position]) in crashed for position in suspects):
                continue
            why = "it runs tests beside each other, and none that ran then was seen to cause that alone"
            full = replace(problem, message=f"{problem.message}; {why}", details=f"{problem.details}\n{why}\n")
            self._ledger.fixture(f"the end of worker {number}", "crashed", full, worker=number, output=output)
        self._unexplained.clear()

    def _bury_task(self, desk: Desk, task: Task, stacks: str, output: str, asked_to_end: int) -> list[Unit]:
        is_innocent = desk.killed and not task.rung and not asked_to_end
        if task.runs is None or is_innocent or (task.is_test and task.position in self._remaining.suspects):
            return self._remaining.within(task.position, task.unit.stop)
        if asked_to_end > 1:
            if task.is_test:
                self._ledger.lose(task.position, "interrupted while it ran")
            return []
        outcome: Any = "timeout" if task.rung else "crashed"
        problem = ran_out(task, stacks) if task.rung else death(desk, task.runs, stacks)
        if task.is_test:
            self._enter(desk, task, outcome, problem, output)
            return self._remaining.within(task.position + 1, task.unit.stop)
        self._ledger.fixture(task.runs, outcome, problem, worker=desk.worker.number, output=output)
        if task.is_tear_down:
            return self._remaining.within(task.position, task.unit.stop)
        self._lose_fixture(task)
        return []

    def _enter(self, desk: Desk, task: Task, outcome: Any, problem: Problem, output: str) -> None:
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
        lost = self._remaining.companions(task.position)
        for position in sorted(lost):
            self._ledger.lose(position, f"not run: its worker died in {task.runs}")
        self._remaining.suspects -= lost
        self._lost(lost)


def _said(desk: Desk, output: str) -> str:
    """Return the end of what a worker wrote that was never ready, for a message: it may be an exception."""
    return f":\n{output.strip()[-2000:]}" if output.strip() and not desk.is_ready else ""
