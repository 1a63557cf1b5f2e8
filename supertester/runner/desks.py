"""`Desk` and `Task`: what the parent knows of a worker and of what it does; and the words for how it ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from dataclasses import replace

from supertester.runner.nursery import WorkerProcess
from supertester.runner.outcomes import Problem, Running, TestOutcome
from supertester.runner.plan import Unit

__all__ = ["Desk", "Task", "death", "how_it_ended", "names_of", "ran_out", "with_stacks"]


class Task:
    """What one of a worker's slots is doing."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.position = unit.start
        """The test that runs, or else the next one."""
        self.runs: str | None = None
        """The test or fixture that runs now."""
        self.is_test = self.is_tear_down = False
        self.since = 0.0
        self.limit: float | None = None
        self.rung = 0
        self.due = 0.0
        """When the next rung of the ladder is to be climbed."""

    def run(self, name: str, limit: float | None, *, is_test: bool = False, is_tear_down: bool = False) -> None:
        """Note that *name* begins."""
        self.runs, self.is_test, self.is_tear_down = name, is_test, is_tear_down
        self.since = time.monotonic()
        self.limit, self.rung = limit, 0
        self.due = self.since + limit if limit is not None else float("inf")

    def rest(self) -> None:
        """Note that it has ended."""
        self.runs = None


class Desk:
    """A worker and what it does.

    Args:
        worker: The process.
        is_shared: Whether it runs tests beside each other.
    """

    def __init__(self, worker: WorkerProcess, *, is_shared: bool = False) -> None:
        self.worker = worker
        self.is_shared = is_shared
        self.tasks: dict[int, Task] = {}
        self.hired = time.monotonic()
        self.is_ready = False
        """Whether it has its tests and looks for work."""
        self.has_begun = False
        self.leaving: float | None = None
        """When it said that it had nothing left to do."""
        self.killed = False
        self.stacks = ""
        """What the interpreter last said of its threads."""


def names_of(running: Iterable[Running]) -> str:
    """Return what runs, for a message."""
    return ", ".join(each.test_id for each in running) or "nothing that runs"


def how_it_ended(status: int | None) -> str:
    """Return how a process ended, for a message."""
    if status is None:
        return "is gone"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"died of {signal.Signals(-status).name}"
    except ValueError:
        return f"died of signal {-status}"


def death(desk: Desk, name: str, stacks: str) -> Problem:
    """Return the problem that a worker died while it ran *name*."""
    message = f"its worker process {how_it_ended(desk.worker.status)}"
    if desk.worker.status == -signal.SIGKILL:
        message += ", which comes from outside, e.g. for want of memory"
    return Problem(kind="error", message=message, details=f"{message}, in {name}\n{stacks}".rstrip() + "\n")


def ran_out(task: Task, stacks: str) -> Problem:
    """Return the problem that *task* did not end even when it was interrupted."""
    message = f"it ran for more than {task.limit:g} s, and its worker process was killed"
    return Problem(kind="error", message=message, details=f"{message}\n{stacks}".rstrip() + "\n")


def with_stacks(outcome: TestOutcome, stacks: str) -> TestOutcome:
    """Return *outcome* with the stacks of all threads in its first problem."""
    if not stacks or not outcome.problems:
        return outcome
    first = outcome.problems[0]
    more = replace(first, details=f"{first.details}\n\nall threads at that time:\n{stacks}")
    return replace(outcome, problems=(more, *outcome.problems[1:]))
