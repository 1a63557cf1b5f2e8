"""`TestRunner`: what programs use that expect a runner of ``unittest``, such as Django's test command."""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import Problem, RunReport, Silent, TestOutcome
from supertester.runner.running import run

__all__ = ["RemoteError", "TestRunner"]

__unittest = True


class RemoteError(Exception):
    """Something that a test raised in a worker, as text: it does not survive the way, or there is no exception."""


class TestRunner(unittest.TextTestRunner):
    """Runs a suite in worker processes, and reports to any ``unittest`` result as if it ran right here.

    It takes what ``unittest.TextTestRunner`` takes. Subclasses say how to run, with the names of
    `supertester.runner.options.Options`.

    A worker is forked with the suite and everything else that this process holds, e.g. connections, of which two
    workers must not use the same: give each its own in ``setUpClass``, or leave `jobs` at 1.

    Example::

        class Runner(TestRunner):
            jobs = 4
            timeout = 60.0

        unittest.main(testRunner=Runner)
    """

    __test__ = False

    jobs: ClassVar[int] = 1
    threads: ClassVar[int] = 1
    timeout: ClassVar[float | None] = Options.timeout
    grace: ClassVar[float] = Options.grace
    max_restarts: ClassVar[int] = Options.max_restarts
    history: ClassVar[str | None] = Options.history
    report: RunReport
    """What became of the last run."""

    def run(self, test: Any) -> Any:
        """Run *test*, a suite or a case, and return its result."""
        return super().run(_Remote(self, test))  # type: ignore[arg-type]

    def _options(self) -> Options:
        return Options(
            jobs=self.jobs,
            threads=self.threads,
            timeout=self.timeout,
            grace=self.grace,
            max_restarts=self.max_restarts,
            history=self.history,
            failfast=self.failfast,
            buffer=self.buffer,
            tb_locals=self.tb_locals,
            keep_exceptions=True,
        )


class _Remote:
    """A suite that runs elsewhere when it is called."""

    def __init__(self, runner: TestRunner, suite: Any) -> None:
        self._runner = runner
        self._suite = suite

    def __call__(self, result: Any) -> Any:
        loaded = Loaded.of([self._suite])
        self._runner.report = run(loaded, self._runner._options(), [_Replay(result, loaded)])
        return result


class _Replay(Silent):
    """Tells a result what it would have been told here."""

    def __init__(self, result: Any, loaded: Loaded) -> None:
        self._result = result
        self._loaded = loaded

    def finished(self, outcome: TestOutcome) -> None:
        result = self._result
        if outcome.declared is None:
            fixture = _Fixture(outcome.test_id)
            for problem in outcome.problems:
                result.addError(fixture, _error_of(problem))
            return
        test = self._loaded.object_of(outcome.declared)
        result.startTest(test)
        try:
            self._tell(test, outcome)
            if hasattr(result, "addDuration"):
                result.addDuration(test, outcome.duration)
        finally:
            result.stopTest(test)

    def _tell(self, test: Any, outcome: TestOutcome) -> None:
        result = self._result
        for problem in outcome.problems:
            self._tell_problem(test, problem)
        if outcome.outcome in {"skipped", "inconclusive"}:
            result.addSkip(test, outcome.reason)
        elif outcome.outcome == "expected_failure":
            result.addExpectedFailure(test, _raised(RemoteError(outcome.reason)))
        elif outcome.outcome == "unexpected_success":
            result.addUnexpectedSuccess(test)
        elif outcome.outcome == "passed":
            result.addSuccess(test)
        elif not outcome.problems:
            result.addError(test, _raised(RemoteError(f"{outcome.outcome}: {outcome.reason}")))

    def _tell_problem(self, test: Any, problem: Problem) -> None:
        if problem.subtest is not None:
            self._result.addSubTest(test, _Subtest(test, problem.subtest), _error_of(problem))
        elif problem.kind == "failure":
            self._result.addFailure(test, _error_of(problem))
        else:
            self._result.addError(test, _error_of(problem))


def _error_of(problem: Problem) -> Any:
    error = problem.exception
    if error is None:
        # What kind it is a result may ask of a failure in a subtest.
        kind = AssertionError if problem.kind == "failure" else RemoteError
        error = kind(problem.details)
    return _raised(error)


def _raised(error: BaseException) -> Any:
    return type(error), error, error.__traceback__


class _Fixture:
    """Stands for a class or module fixture that failed, as ``unittest`` has it."""

    failureException = None

    def __init__(self, name: str) -> None:
        self.description = name

    def id(self) -> str:
        return self.description

    def shortDescription(self) -> None:  # noqa: N802 - the name is that of the base class
        return None

    def __str__(self) -> str:
        return self.description


class _Subtest(unittest.TestCase):
    """Stands for a subtest of which only the description came back."""

    def __init__(self, test: Any, description: str) -> None:
        super().__init__()
        self.test_case = test
        self.failureException = test.failureException
        self._description = description

    def runTest(self) -> None:  # noqa: N802 - the name is that of the base class
        """Do nothing: it has run elsewhere."""

    def id(self) -> str:
        return f"{self.test_case.id()} {self._description}"

    def shortDescription(self) -> str | None:  # noqa: N802 - the name is that of the base class
        description: str | None = self.test_case.shortDescription()
        return description

    def __str__(self) -> str:
        return f"{self.test_case} {self._description}"
