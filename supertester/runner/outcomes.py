"""What became of a test and of a run, as values, and who is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, Literal, Protocol

from supertester._core.values import dataclass
from supertester.runner.declared import DeclaredTest

__all__ = [
    "FAILING",
    "OUTCOMES",
    "Attachment",
    "Observer",
    "OutcomeName",
    "Problem",
    "RunReport",
    "Running",
    "Silent",
    "Subtest",
    "TestOutcome",
]

OutcomeName = Literal[
    "passed",
    "failed",
    "error",
    "skipped",
    "expected_failure",
    "unexpected_success",
    "flaky",
    "lost",
    "inconclusive",
    "contaminated",
    "timeout",
    "crashed",
]
OUTCOMES: tuple[OutcomeName, ...] = (
    "passed",
    "failed",
    "error",
    "skipped",
    "expected_failure",
    "unexpected_success",
    "flaky",
    "lost",
    "inconclusive",
    "contaminated",
    "timeout",
    "crashed",
)
"""Every outcome: a test has exactly one."""
FAILING = frozenset({"failed", "error", "unexpected_success", "timeout", "crashed"})
"""The outcomes that always fail a run. Others fail it if ``fail_on`` names them."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that went wrong in a test: it may have several, of its subtests and its cleanup."""

    kind: Literal["failure", "error"]
    """``failure``: an assertion did not hold. ``error``: anything else."""
    message: str
    """What was raised, without a traceback: for a list."""
    details: str
    """The whole text: traceback, notes, stacks."""
    subtest: str | None = None
    """The subtest that it happened in, e.g. ``"(i=3)"``."""
    exception: BaseException | None = field(default=None, compare=False)
    """What was raised, where it was asked for and survives the way between processes."""


@dataclass(frozen=True, kw_only=True)
class Subtest:
    """A subtest that did not pass."""

    description: str
    outcome: Literal["failed", "error", "skipped"]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """Something that a test adds to its report."""

    name: str
    kind: str
    """A media type, such as ``text/plain`` or ``text/html``."""
    content: str


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """What became of one test, the once that it ran.

    A class or module fixture that failed has an outcome of its own, named as in ``unittest``, e.g.
    ``setUpClass (tests.test_bank.TestBank)``; its `declared` is ``None``.
    """

    __test__ = False  # Its name says "test", and it is none.

    test_id: str
    outcome: OutcomeName
    declared: DeclaredTest | None = None
    started: float = 0.0
    """When it began: seconds since the epoch."""
    duration: float = 0.0
    """Seconds, with its own fixtures and cleanups; monotonic."""
    worker: int = 0
    """The number of the process that ran it; 0 is this process."""
    attempt: int = 1
    problems: tuple[Problem, ...] = ()
    output: str = ""
    """What it wrote to standard output and error, bounded."""
    reason: str = ""
    """Why it was skipped, lost, contaminated or inconclusive."""
    subtests: tuple[Subtest, ...] = ()
    """The subtests that did not pass."""
    subtests_run: int = 0
    attachments: tuple[Attachment, ...] = ()

    @property
    def message(self) -> str:
        """What went wrong first, or the reason, without a traceback."""
        return self.problems[0].message if self.problems else self.reason

    @property
    def details(self) -> str:
        """The text of all that went wrong."""
        return "\n".join(problem.details for problem in self.problems)

    @property
    def is_fixture(self) -> bool:
        """Whether this is a class or module fixture that failed, and no test."""
        return self.declared is None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "test_id": self.test_id,
            "outcome": self.outcome,
            "started": self.started,
            "duration": self.duration,
            "worker": self.worker,
            "attempt": self.attempt,
            "message": self.message,
            "details": self.details,
            "output": self.output,
            "reason": self.reason,
            "subtests": [vars(each) for each in self.subtests],
            "subtests_run": self.subtests_run,
            "attachments": [vars(each) for each in self.attachments],
        }


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What became of a run."""

    tests: tuple[TestOutcome, ...]
    """The outcomes, in the order in which they ended; failed fixtures are among them."""
    declared: int
    """How many tests were to be run; one that runs N times counts N times."""
    executed: int
    """How many of those were run to an outcome, whichever it was."""
    seed: int
    workers: int
    duration: float
    """Seconds, by the clock on the wall."""
    interrupted: bool = False
    """Whether somebody ended the run early (Ctrl-C)."""
    stopped: str = ""
    """Why tests were left out on purpose, e.g. ``--failfast``."""
    fail_on: frozenset[str] = frozenset({"contaminated", "flaky", "lost"})
    notes: tuple[str, ...] = ()
    """What happened to the run itself, e.g. that a worker died and was replaced."""

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many outcomes there are of each kind; kinds without any are left out."""
        found = Counter(outcome.outcome for outcome in self.tests)
        return {name: found[name] for name in OUTCOMES if found[name]}

    @property
    def lost(self) -> int:
        """How many declared tests have no outcome that says how they ended, though nobody asked to stop."""
        return 0 if self.interrupted or self.stopped else self.declared - self.executed

    def fails(self, outcome: TestOutcome) -> bool:
        """Say whether *outcome* fails the run."""
        return outcome.outcome in FAILING or outcome.outcome in self.fail_on

    @property
    def ok(self) -> bool:
        """Whether everything that was declared ran, there was something, and nothing failed."""
        complete = not self.interrupted and self.declared > 0 and not ("lost" in self.fail_on and self.lost)
        return complete and not any(map(self.fails, self.tests))

    @property
    def exit_status(self) -> int:
        """0 if `ok`, else 1."""
        return 0 if self.ok else 1

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "tests": [outcome.to_dict() for outcome in self.tests],
            "counts": dict(self.counts),
            "declared": self.declared,
            "executed": self.executed,
            "seed": self.seed,
            "workers": self.workers,
            "duration": self.duration,
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "notes": list(self.notes),
            "ok": self.ok,
        }


@dataclass(frozen=True, kw_only=True)
class Running:
    """A test that is running."""

    test_id: str
    worker: int
    seconds: float


class Observer(Protocol):
    """Is told what happens in a run, in the process that began it, one call at a time.

    `Silent` does nothing in each; derive from it to override a few.
    """

    def began(self, tests: Sequence[DeclaredTest], *, workers: int, seed: int) -> None:
        """A run of *tests* begins."""

    def started(self, test_id: str, worker: int, at: float) -> None:
        """A test begins, *at* seconds since the epoch."""

    def finished(self, outcome: TestOutcome) -> None:
        """A test ended, or a fixture failed."""

    def running(self, tests: Sequence[Running]) -> None:
        """Called about once a second, while tests run, with those that do; longest first."""

    def wrote(self, worker: int, text: str) -> None:
        """A worker wrote *text* outside of tests, e.g. in a class fixture."""

    def noted(self, note: str) -> None:
        """Something happened to the run itself, e.g. a worker died."""

    def ended(self, report: RunReport) -> None:
        """The run is over; called once, whatever happened."""


class Silent:
    """An `Observer` that does nothing."""

    def began(self, tests: Sequence[DeclaredTest], *, workers: int, seed: int) -> None:
        """Do nothing."""

    def started(self, test_id: str, worker: int, at: float) -> None:
        """Do nothing."""

    def finished(self, outcome: TestOutcome) -> None:
        """Do nothing."""

    def running(self, tests: Sequence[Running]) -> None:
        """Do nothing."""

    def wrote(self, worker: int, text: str) -> None:
        """Do nothing."""

    def noted(self, note: str) -> None:
        """Do nothing."""

    def ended(self, report: RunReport) -> None:
        """Do nothing."""
