"""Rounds of tests in threads, and what they say of who disturbed whom."""

from __future__ import annotations

import faulthandler
import queue
import sys
import threading
import time
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from supertester.isolation.port_registry import import_before_threads
from tests.torture.units import Unit
from tests.torture.world import RESOURCES, differences, pipes, snapshot

__all__ = ["Finding", "Report", "torture"]

_SWITCH = 1e-3
"""Seconds after which Python lets another thread run; its own 5 ms would let most tests run without interruption."""


@dataclass
class Run:
    """One unit, run once."""

    unit: Unit
    thread: int
    began: float = 0.0
    ended: float = 0.0
    count: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def overlaps(self, other: Run) -> bool:
        return self is not other and self.began < other.ended and other.began < self.ended


@dataclass(frozen=True)
class Finding:
    """Something that interfered."""

    round: int
    what: str
    details: str
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"round {self.round}: {self.what}", *("  " + line for line in self.details.rstrip().splitlines())]
        if self.beside:
            lines.append(f"  beside it ran: {', '.join(self.beside)}")
        return "\n".join(lines)


@dataclass
class Report:
    """What the rounds found."""

    seed: int
    rounds: int = 0
    tests: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings and self.tests > 0

    def suspects(self) -> list[str]:
        """For each test that failed more than once: what ran beside it every time."""
        beside: dict[str, list[set[str]]] = {}
        for finding in self.findings:
            if finding.beside:
                beside.setdefault(finding.what, []).append(set(finding.beside))
        return [
            f"{what}: failed {len(sets)} times, always beside {', '.join(sorted(set.intersection(*sets))) or 'others'}"
            for what, sets in beside.items()
            if len(sets) > 1
        ]

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] + self.suspects()
        verdict = "nothing interfered" if self.ok else f"{len(self.findings)} findings"
        return "\n".join([*lines, f"{self.tests} tests in {self.rounds} rounds, seed {self.seed}: {verdict}"])


def torture(
    units: Sequence[Unit],
    *,
    rounds: int,
    threads: int,
    seed: int,
    limit: float = 600.0,
    again: bool = True,
    say: Callable[[str], object] = lambda text: None,
) -> Report:
    """Run *units* *rounds* times, each time in another order and *threads* at a time.

    What cannot run beside others runs after each round, one after the other, in the calling thread.

    Args:
        units: What to run.
        rounds: How often.
        threads: How many at a time.
        seed: Decides the order.
        limit: Seconds after which a round is taken for hanging; then all stacks are shown and the process ends.
        again: Run what failed once more alone, to say whether it needs company to fail.
        say: Gets a line after each round, and what it found.
    """
    import_before_threads()
    report = Report(seed)
    random = Random(seed)
    together, apart = ([unit for unit in units if bool(unit.alone) is alone] for alone in (False, True))
    for number in range(1, rounds + 1):
        known = len(report.findings)
        with _watched(report, number, limit):
            runs = _in_threads(together, threads, random)
            _add(report, number, runs, again=again)
        for unit in apart:
            run = Run(unit, 0)
            _run(run, random)
            report.tests += run.count
            for test, problem in run.problems:
                report.findings.append(Finding(number, test, f"run alone after the others ({unit.alone}):\n{problem}"))
        report.rounds = number
        count = sum(run.count for run in runs)
        slowest = max(runs, key=lambda run: run.ended - run.began, default=None)
        slow = "" if slowest is None else f"; slowest {slowest.unit.name}: {slowest.ended - slowest.began:.1f} s"
        say(f"round {number} of {rounds}: {count} tests at once, {len(report.findings)} findings{slow}")
        for finding in report.findings[known:]:
            say(str(finding))
    return report


@contextmanager
def _watched(report: Report, number: int, limit: float) -> Iterator[None]:
    """Report what the body changes in the process, and what ends up in hooks because it belongs to no test."""
    lost: list[str] = []
    before_hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda args: _note_thread(lost, args)
    sys.unraisablehook = lambda args: lost.append(f"{args.err_msg or 'in'} {args.object!r}: {args.exc_value!r}")
    interval = sys.getswitchinterval()
    before = snapshot()
    sys.setswitchinterval(_SWITCH)
    faulthandler.dump_traceback_later(limit, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        sys.setswitchinterval(interval)
        after = snapshot()
        threading.excepthook, sys.unraisablehook = before_hooks
    for each in lost:
        report.findings.append(Finding(number, "what belongs to no test", each))
    # What is put in place once and stays, such as the server that forks processes, appears in the first round.
    for each in differences(before, after, besides=() if number > 1 else RESOURCES):
        lines = [each, *pipes()] if each.startswith("file descriptors") else [each]
        report.findings.append(Finding(number, "the process changed", "\n".join(lines)))


def _note_thread(lost: list[str], args: Any) -> None:
    if args.exc_type is not SystemExit:
        lost.append(f"thread {args.thread.name}: {args.exc_type.__name__}: {args.exc_value}")


def _in_threads(units: Sequence[Unit], threads: int, random: Random) -> list[Run]:
    waiting: queue.SimpleQueue[tuple[Unit, Random]] = queue.SimpleQueue()
    for unit in random.sample(list(units), len(units)):
        waiting.put((unit, Random(random.random())))
    runs: list[Run] = []
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        while True:
            try:
                unit, order = waiting.get_nowait()
            except queue.Empty:
                return
            run = Run(unit, number)
            runs.append(run)
            _run(run, order)

    workers = [threading.Thread(target=work, args=(number,), name=f"torture-{number}") for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return runs


def _run(run: Run, random: Random) -> None:
    result = unittest.TestResult()
    run.began = time.monotonic()
    run.unit.suite(random).run(result)
    run.ended = time.monotonic()
    run.count = result.testsRun
    run.problems = [(_name(test), text) for test, text in [*result.failures, *result.errors]]
    run.problems += [(_name(test), "an expected failure did not happen") for test in result.unexpectedSuccesses]


def _name(test: Any) -> str:
    return test.id() if hasattr(test, "id") else str(test)


def _add(report: Report, number: int, runs: Sequence[Run], *, again: bool) -> None:
    """Report the failures of *runs*, with whether they also happen to the test alone."""
    for run in runs:
        report.tests += run.count
        if not run.problems:
            continue
        once_more = Run(run.unit, 0)
        if again:
            _run(once_more, Random(0))
        alone = {test for test, _ in once_more.problems}
        beside = tuple(sorted(other.unit.name for other in runs if other.overlaps(run)))
        for test, problem in run.problems:
            if test in alone:
                report.findings.append(Finding(number, test, f"fails alone as well:\n{problem}"))
            else:
                report.findings.append(Finding(number, test, f"passes alone:\n{problem}", beside))
