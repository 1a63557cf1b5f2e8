"""`Ledger`: which of the declared tests have an outcome, and what it is; tells the observers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import Observer, OutcomeName, Problem, Running, RunReport, TestOutcome

__all__ = ["NOT_BEGUN", "Ledger"]

NOT_BEGUN = "interrupted before it began"
"""Why a test is lost that nobody began any more."""


class Ledger:
    """The books of a run: every declared test is either open or has exactly one outcome.

    Args:
        tests: What is to be run, by position.
        observers: Who is told.
    """

    def __init__(self, tests: Sequence[DeclaredTest], observers: Sequence[Observer]) -> None:
        self.tests = tests
        self.outcomes: list[TestOutcome] = []
        self.notes: list[str] = []
        self.executed = 0
        self.open = set(range(len(tests)))
        """The positions without an outcome."""
        self._observers = observers
        self._begun = time.perf_counter()

    def begin(self, *, workers: int, seed: int) -> None:
        """Tell that the run begins."""
        for each in self._observers:
            each.began(self.tests, workers=workers, seed=seed)

    def started(self, position: int, worker: int, at: float) -> None:
        """Tell that a test begins."""
        for each in self._observers:
            each.started(self.tests[position].test_id, worker, at)

    def enter(self, position: int | None, outcome: TestOutcome) -> None:
        """Enter the outcome of the test at *position*, or of a fixture; of a test only the first counts."""
        if position is not None:
            if position not in self.open:
                return
            self.open.remove(position)
            self.executed += outcome.outcome != "lost"
        self.outcomes.append(outcome)
        for each in self._observers:
            each.finished(outcome)

    def lose(self, position: int, reason: str) -> None:
        """Enter that the test at *position* is lost."""
        declared = self.tests[position]
        self.enter(
            position,
            TestOutcome(
                test_id=declared.test_id,
                outcome="lost",
                declared=declared,
                started=time.time(),
                attempt=declared.attempt,
                reason=reason,
            ),
        )

    def lose_rest(self, reason: str) -> None:
        """Enter that all tests without an outcome are lost."""
        for position in sorted(self.open):
            self.lose(position, reason)

    def fixture(self, name: str, outcome: OutcomeName, problem: Problem, *, worker: int, output: str = "") -> None:
        """Enter what became of a fixture."""
        self.enter(
            None,
            TestOutcome(
                test_id=name, outcome=outcome, started=time.time(), worker=worker, problems=(problem,), output=output
            ),
        )

    def running(self, tests: Sequence[Running]) -> None:
        """Tell what is running."""
        for each in self._observers:
            each.running(tests)

    def wrote(self, worker: int, text: str) -> None:
        """Tell what was written outside of tests."""
        for each in self._observers:
            each.wrote(worker, text)

    def note(self, text: str) -> None:
        """Tell what happened to the run itself."""
        self.notes.append(text)
        for each in self._observers:
            each.noted(text)

    def close(
        self, *, workers: int, seed: int, fail_on: frozenset[str], interrupted: bool = False, stopped: str = ""
    ) -> RunReport:
        """Make the report of all that was entered, and tell it."""
        report = RunReport(
            tests=tuple(self.outcomes),
            declared=len(self.tests),
            executed=self.executed,
            seed=seed,
            workers=workers,
            duration=time.perf_counter() - self._begun,
            interrupted=interrupted,
            stopped=stopped,
            fail_on=fail_on,
            notes=tuple(self.notes),
        )
        for each in self._observers:
            each.ended(report)
        return report
