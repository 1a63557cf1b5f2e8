"""`TextReport`: what `python -m unittest` prints of a run, and what it does not know."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import OutcomeName, Problem, Running, RunReport, Silent, TestOutcome
from supertester.runner.writing import write

__all__ = ["TextReport", "title"]

_SIGNS: dict[OutcomeName, tuple[str, str]] = {
    "passed": (".", "ok"),
    "failed": ("F", "FAIL"),
    "error": ("E", "ERROR"),
    "skipped": ("s", "skipped"),
    "expected_failure": ("x", "expected failure"),
    "unexpected_success": ("u", "unexpected success"),
    "flaky": ("~", "FLAKY"),
    "lost": ("L", "LOST"),
    "inconclusive": ("i", "inconclusive"),
    "contaminated": ("!", "CONTAMINATED"),
    "timeout": ("T", "TIMEOUT"),
    "crashed": ("C", "CRASHED"),
}
_COUNTED: tuple[tuple[OutcomeName, str], ...] = (
    ("skipped", "skipped"),
    ("expected_failure", "expected failures"),
    ("unexpected_success", "unexpected successes"),
    ("timeout", "timeouts"),
    ("crashed", "crashed"),
    ("contaminated", "contaminated"),
    ("flaky", "flaky"),
    ("inconclusive", "inconclusive"),
    ("lost", "lost"),
)
_DOUBLE, _SINGLE = "=" * 70, "-" * 70
_LONG = 30.0
"""Seconds after which a line says that a test is still running, and then again after each doubling."""
_MOST_LOST = 20
"""Tests lost for the same reason that are named."""
_SHORTEST = 0.001
"""Seconds below which a test is not among the slowest, unless more is said."""


class TextReport(Silent):
    """Prints as ``python -m unittest`` does: a sign or a line per test, then what went wrong, then the sum.

    Args:
        stream: Where to; standard error if nothing is said.
        verbosity: 0, 1 or 2.
        buffer: Show what tests wrote only if something went wrong in them.
        durations: How many of the slowest tests to show; 0 is all, ``None`` is none.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        verbosity: int = 1,
        buffer: bool = False,
        durations: int | None = None,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._verbosity = verbosity
        self._buffer = buffer
        self._durations = durations
        self._is_midline = False
        self._said: dict[str, float] = {}

    # While it runs -------------------------------------------------------------------------------------------------

    def finished(self, outcome: TestOutcome) -> None:
        self._said.pop(outcome.test_id, None)
        if outcome.output and not self._buffer:
            self.wrote(outcome.worker, outcome.output)
        sign, word = _SIGNS[outcome.outcome]
        if self._verbosity > 1:
            reason = f" {outcome.reason!r}" if outcome.reason and outcome.outcome != "expected_failure" else ""
            self._line(f"{title(outcome)} ... {word}{reason}")
        elif self._verbosity == 1:
            self._write(sign)
            self._is_midline = True

    def running(self, tests: Sequence[Running]) -> None:
        for each in tests:
            if each.seconds >= self._said.get(each.test_id, _LONG):
                self._said[each.test_id] = 2 * each.seconds
                self._line(f"running for {each.seconds:.0f} s: {each.test_id} (worker {each.worker})")

    def wrote(self, worker: int, text: str) -> None:
        self._end_line()
        self._stream.flush()
        write(sys.stdout, text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def noted(self, note: str) -> None:
        self._line(note)

    def began(self, tests: Sequence[DeclaredTest], *, workers: int, seed: int) -> None:
        self._said.clear()

    # At the end ----------------------------------------------------------------------------------------------------

    def ended(self, report: RunReport) -> None:
        self._end_line()
        if self._verbosity > 0:
            self._write("\n")
        for outcome in report.tests:
            if outcome.outcome == "unexpected_success":
                continue
            for problem in outcome.problems:
                self._problem(outcome, problem)
        self._lost(report.tests)
        self._unexpected(report.tests)
        if self._durations is not None:
            self._slowest(report.tests, self._durations)
        self._sum(report)

    def _problem(self, outcome: TestOutcome, problem: Problem) -> None:
        _, word = _SIGNS[outcome.outcome]
        if outcome.outcome in {"failed", "error"}:
            word = "FAIL" if problem.kind == "failure" else "ERROR"
        where = f" {problem.subtest}" if problem.subtest else ""
        self._line(_DOUBLE)
        self._line(f"{word}: {title(outcome)}{where}")
        if outcome.declared is not None and outcome.declared.description:
            self._line(outcome.declared.description)
        self._line(_SINGLE)
        self._line(problem.details.rstrip("\n"))
        if self._buffer and outcome.output:
            self._line(f"\nOutput:\n{outcome.output}".rstrip("\n"))
        self._line("")

    def _lost(self, outcomes: Iterable[TestOutcome]) -> None:
        by_reason: dict[str, list[str]] = {}
        for each in outcomes:
            if each.outcome == "lost":
                by_reason.setdefault(each.reason, []).append(title(each))
        for reason, names in by_reason.items():
            self._line(_DOUBLE)
            self._line(f"LOST: {len(names)} {'tests' if len(names) > 1 else 'test'}: {reason}")
            self._line(_SINGLE)
            self._line("\n".join(names[:_MOST_LOST]))
            if len(names) > _MOST_LOST:
                self._line(f"... and {len(names) - _MOST_LOST} more")
            self._line("")

    def _unexpected(self, outcomes: Iterable[TestOutcome]) -> None:
        names = [title(each) for each in outcomes if each.outcome == "unexpected_success"]
        if names:
            self._line(_DOUBLE)
            for name in names:
                self._line(f"UNEXPECTED SUCCESS: {name}")

    def _slowest(self, outcomes: Iterable[TestOutcome], most: int) -> None:
        by_time = sorted((each for each in outcomes if not each.is_fixture), key=lambda each: -each.duration)
        shown = by_time[:most] if most else by_time
        if self._verbosity < 2:
            shown = [each for each in shown if each.duration >= _SHORTEST]
        self._line("Slowest test durations")
        self._line(_SINGLE)
        for each in shown:
            self._line(f"{each.duration:.3f}s     {title(each)}")
        self._line("")

    def _sum(self, report: RunReport) -> None:
        self._line(_SINGLE)
        tests = "test" if report.executed == 1 else "tests"
        self._line(f"Ran {report.executed} {tests} in {report.duration:.3f}s")
        workers = f"{report.workers} {'worker' if report.workers == 1 else 'workers'}"
        self._line(f"declared {report.declared}, executed {report.executed}; {workers}; seed {report.seed}")
        self._line("")
        counts = ", ".join(_counts(report))
        verdict = "OK" if report.ok else ("NO TESTS RAN" if not report.declared else "FAILED")
        if report.interrupted:
            verdict = "INTERRUPTED"
        elif report.stopped:
            verdict = f"FAILED (stopped: {report.stopped})" if not counts else f"FAILED, stopped by {report.stopped},"
        self._line(f"{verdict} ({counts})" if counts else verdict)

    # The stream ----------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._end_line()
        self._write(text + "\n")

    def _end_line(self) -> None:
        if self._is_midline:
            self._is_midline = False
            self._write("\n")

    def _write(self, text: str) -> None:
        write(self._stream, text)
        self._stream.flush()


def _counts(report: RunReport) -> Iterable[str]:
    ordinary = [each for each in report.tests if each.outcome in {"failed", "error"}]
    for kind, name in [("failure", "failures"), ("error", "errors")]:
        if count := sum(problem.kind == kind for each in ordinary for problem in each.problems):
            yield f"{name}={count}"
    for outcome, name in _COUNTED:
        if count := report.counts.get(outcome, 0):
            yield f"{name}={count}"


def title(outcome: TestOutcome) -> str:
    """Return the name of a test as ``unittest`` prints it."""
    declared = outcome.declared
    attempt = f" (attempt {outcome.attempt})" if outcome.attempt > 1 else ""
    if declared is None or not outcome.test_id.endswith(f".{declared.method}"):
        return outcome.test_id + attempt  # A fixture, or a test that is called in a way of its own, such as a doctest.
    return f"{declared.method} ({outcome.test_id}){attempt}"
