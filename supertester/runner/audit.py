"""Whether a suite is deterministic, isolated and fast: ``python -m supertester audit DIR``.

Five questions, each answered by doing it: does a test sleep, may all run beside others, does the order not matter, how
long do they take, and does any of them fail now and then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from supertester._core.columns import text_table
from supertester._core.seeds import derive_seed, run_seed
from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest
from supertester.runner.layers import select
from supertester.runner.lint import check_no_sleep
from supertester.runner.loading import Loaded, load
from supertester.runner.options import Options
from supertester.runner.order import shuffled
from supertester.runner.outcomes import FAILING, RunReport, TestOutcome
from supertester.runner.running import run

__all__ = ["AuditReport", "Limits", "Metric", "audit"]

_BAD: Final = FAILING | {"lost", "contaminated", "flaky"}
_SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is asked of a suite.

    Attributes:
        seeds: In how many random orders the tests have to pass.
        runs: In how many runs no test may fail now and then.
        seconds: How long all tests together may take, beside each other.

    Raises:
        UsageError: One of them is less than 1, or no time at all.
    """

    seeds: int = 20
    runs: int = 100
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("seeds", "runs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {name}={getattr(self, name)!r}")
        if not self.seconds > 0:
            raise UsageError(f"seconds must be more than 0, got seconds={self.seconds!r}")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One question: what is asked for, what was found, and the evidence where that is not the same."""

    name: str
    wanted: str
    found: str
    ok: bool
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The answers to all five questions."""

    metrics: tuple[Metric, ...]
    tests: int

    @property
    def ok(self) -> bool:
        """Whether the suite is all that is asked of it."""
        return all(metric.ok for metric in self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        metrics = [{**vars(metric), "evidence": list(metric.evidence)} for metric in self.metrics]
        return {"ok": self.ok, "tests": self.tests, "metrics": metrics}

    def __str__(self) -> str:
        rows = [("", "wanted", "found", "")]
        rows += [(each.name, each.wanted, each.found, "ok" if each.ok else "FAILED") for each in self.metrics]
        return "\n".join([text_table(rows), *self._evidence()])

    def _evidence(self) -> Iterable[str]:
        for metric in self.metrics:
            if not metric.ok and metric.evidence:
                yield f"\n{metric.name}:"
                yield from (f"  {line}" for line in metric.evidence[:_SHOWN])
                if len(metric.evidence) > _SHOWN:
                    yield f"  and {len(metric.evidence) - _SHOWN} more"


def audit(
    folder: str | Path,
    *,
    limits: Limits | None = None,
    options: Options | None = None,
    say: Callable[[str], object] = str,
    run: Any = run,
) -> AuditReport:
    """Answer the five questions about the tests in *folder*.

    Args:
        folder: Where tests are discovered, and sleeps looked for.
        limits: How much is asked for.
        options: How to run the tests, and which of them, by layer and tag; by default all, in a process for each
            processor.
        say: Is told what goes on, as it may take long.
        run: Runs tests; another one for tests of this function.

    Raises:
        UsageError: There is no test in *folder*, or none that is asked for.
    """
    options = options or Options(jobs=os.cpu_count() or 1)
    options = replace(options, discover=True, start_directory=str(folder), failfast=False)
    sleeps = check_no_sleep(folder)
    with load(options) as everything:
        if not everything.tests:
            raise UsageError(f"there is no test in {str(folder)!r}; name the folder that tests are discovered in")
        loaded = everything.choose(select(everything.tests, layers=options.layers, tag=options.tag))
        rounds = _Rounds(loaded, options, limits or Limits(), say, run)
        rounds.run_all()
        metrics = (
            Metric(
                name="no test sleeps",
                wanted="0 sleeps",
                found=_counted(len(sleeps), "sleep"),
                ok=not sleeps,
                evidence=tuple(map(str, sleeps)),
            ),
            rounds.parallel(),
            rounds.order(),
            rounds.time(),
            rounds.flakes(),
        )
    return AuditReport(metrics=metrics, tests=len(loaded.tests))


@dataclass
class _Fates:
    """How often a test passed and failed, and what it failed with last."""

    passed: int = 0
    failed: int = 0
    message: str = ""

    def add(self, outcome: TestOutcome) -> None:
        if outcome.outcome in _BAD:
            self.failed += 1
            self.message = outcome.message
        else:
            self.passed += 1


@dataclass
class _Rounds:
    """Runs the suite again and again, and keeps of each run only what the answers need."""

    loaded: Loaded
    options: Options
    limits: Limits
    say: Callable[[str], object]
    run: Any
    seconds: float = 0.0
    plain: dict[str, _Fates] = field(default_factory=dict)
    shuffled: dict[str, _Fates] = field(default_factory=dict)
    seeds_that_fail: dict[str, list[int]] = field(default_factory=dict)

    def run_all(self) -> None:
        for number in range(1, self.limits.runs + 1):
            report = self._once(self.loaded.tests, self.options, self.plain)
            self.seconds = report.duration if number == 1 else self.seconds
            self._tell(f"run {number} of {self.limits.runs}", report)
        # In one process: a test is spoilt only by those that ran before it in its own.
        in_order = replace(self.options, keep_order=True, jobs=min(self.options.jobs, 1))
        for number in range(1, self.limits.seeds + 1):
            seed = derive_seed(run_seed(), f"audit {number}") % 10**6
            report = self._once(shuffled(self.loaded.tests, seed), in_order, self.shuffled)
            for name in sorted({each.test_id for each in report.tests if each.outcome in _BAD}):
                self.seeds_that_fail.setdefault(name, []).append(seed)
            self._tell(f"random order {number} of {self.limits.seeds}, --shuffle={seed}", report)

    def _once(self, tests: Sequence[DeclaredTest], options: Options, fates: dict[str, _Fates]) -> RunReport:
        report: RunReport = self.run(self.loaded.choose(tests), options, [])
        if report.interrupted:
            raise KeyboardInterrupt
        for outcome in report.tests:
            fates.setdefault(outcome.test_id, _Fates()).add(outcome)
        return report

    def _tell(self, what: str, report: RunReport) -> None:
        bad = sum(count for name, count in report.counts.items() if name in _BAD)
        self.say(f"{what}: {_counted(report.executed, 'test')}, {bad} bad, {report.duration:.2f} s")

    # The answers -------------------------------------------------------------------------------------------------

    def parallel(self) -> Metric:
        """Say whether all tests may run beside others: none asks to be alone, and none fails each time."""
        alone = {test.test_id: test.alone for test in self.loaded.tests if test.alone}
        failing = [name for name, fates in self.plain.items() if not fates.passed]
        unsafe = {*alone, *failing}
        total = len(self.loaded.tests)
        evidence = [f"{name} asks to run alone: {reason}" for name, reason in alone.items()]
        evidence += [f"{name} fails beside others: {self.plain[name].message}" for name in failing]
        return Metric(
            name="all may run beside others",
            wanted=f"{total} of {total}",
            found=f"{total - len(unsafe)} of {total}",
            ok=not unsafe,
            evidence=tuple(evidence),
        )

    def order(self) -> Metric:
        """Say in which random orders a test failed that does not always fail."""
        always = {name for name, fates in self.plain.items() if not fates.passed}
        by_order = {name: seeds for name, seeds in self.seeds_that_fail.items() if name not in always}
        bad = {seed for seeds in by_order.values() for seed in seeds}
        evidence = [
            f"{name} fails with --shuffle={seeds[0]}: {self.shuffled[name].message}\n"
            f"    find out why: python -m supertester discover -s {self.options.start_directory} "
            f"--shuffle={seeds[0]} --bisect {name}"
            for name, seeds in by_order.items()
        ]
        seeds = self.limits.seeds
        return Metric(
            name="all pass in random orders",
            wanted=f"in {seeds} of {seeds}",
            found=f"in {seeds - len(bad)} of {seeds}",
            ok=not bad,
            evidence=tuple(evidence),
        )

    def time(self) -> Metric:
        """Say how long the first run took."""
        return Metric(
            name="all tests together are fast",
            wanted=f"under {self.limits.seconds:g} s",
            found=f"{self.seconds:.2f} s",
            ok=self.seconds < self.limits.seconds,
            evidence=(f"{_counted(len(self.loaded.tests), 'test')} with {self.options.jobs} workers; see --durations",),
        )

    def flakes(self) -> Metric:
        """Say which tests passed in some runs and failed in others."""
        flaky = {name: fates for name, fates in self.plain.items() if fates.passed and fates.failed}
        evidence = [
            f"{name} failed in {fates.failed} of {fates.failed + fates.passed} runs: {fates.message}"
            for name, fates in sorted(flaky.items(), key=lambda item: -item[1].failed)
        ]
        return Metric(
            name=f"no flaky test in {_counted(self.limits.runs, 'run')}",
            wanted="0 flaky",
            found=f"{len(flaky)} flaky",
            ok=not flaky,
            evidence=tuple(evidence),
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
