"""`run`: declared tests, options and observers in, a report out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from supertester._core.seeds import run_seed
from supertester.runner.declared import DeclaredTest, id_of
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import Observer, RunReport, TestOutcome
from supertester.runner.recording import Recorder
from supertester.runner.walking import Walk

__all__ = ["run"]

__unittest = True


def run(tests: Loaded | Iterable[Any], options: Options | None = None, observers: Iterable[Observer] = ()) -> RunReport:
    """Run *tests* and return what became of each.

    Args:
        tests: What `load` returned, or a suite.
        options: How to run them. What to load and to choose, how often, and reports to write are not looked at here.
        observers: Who is told what happens, while it does.

    Example::

        report = run(unittest.defaultTestLoader.loadTestsFromName("tests.test_bank"), Options(jobs=0))
        print(report.counts)
    """
    loaded = tests if isinstance(tests, Loaded) else Loaded.of(tests)
    return _InProcess(loaded, options or Options(), list(observers)).run()


class _InProcess:
    """A run in this process, one test after the other."""

    def __init__(self, loaded: Loaded, options: Options, observers: Sequence[Observer]) -> None:
        self._loaded = loaded
        self._options = options
        self._observers = observers
        self._outcomes: list[TestOutcome] = []
        self._current: DeclaredTest | None = None

    def run(self) -> RunReport:
        begun, interrupted, stopped = time.perf_counter(), False, ""
        for each in self._observers:
            each.began(self._loaded.tests, workers=1, seed=run_seed())
        recorder = self._recorder()
        try:
            self._walk(recorder)
        except KeyboardInterrupt:
            interrupted = True
        if recorder.shouldStop and not interrupted:
            stopped = "--failfast" if self._options.failfast else "a test asked to stop"
        report = self._report(time.perf_counter() - begun, interrupted=interrupted, stopped=stopped)
        for each in self._observers:
            each.ended(report)
        return report

    def _recorder(self) -> Recorder:
        recorder = Recorder(
            lambda _: self._current,
            begin=self._begin,
            end=self._end,
            tb_locals=self._options.tb_locals,
            keep_exceptions=self._options.keep_exceptions,
        )
        recorder.failfast = self._options.failfast
        return recorder

    def _walk(self, recorder: Recorder) -> None:
        walk = Walk(recorder, self._not_run)
        for declared in self._loaded.tests:
            if recorder.shouldStop:
                break
            self._current = declared
            walk.step(self._loaded.object_of(declared))
        walk.finish()

    def _begin(self, declared: DeclaredTest | None, test_id: str, at: float) -> None:
        for each in self._observers:
            each.started(test_id, 0, at)

    def _end(self, outcome: TestOutcome) -> None:
        self._outcomes.append(outcome)
        for each in self._observers:
            each.finished(outcome)

    def _not_run(self, test: Any, skipped: bool, why: str) -> None:  # noqa: FBT001 - the signature of `Walk`
        declared = self._current
        test_id = declared.test_id if declared is not None else id_of(test)
        outcome: Any = "skipped" if skipped else "lost"
        reason = why if skipped else f"not run: {why}"
        self._end(TestOutcome(test_id=test_id, outcome=outcome, declared=declared, started=time.time(), reason=reason))

    def _report(self, duration: float, *, interrupted: bool, stopped: str) -> RunReport:
        executed = sum(not outcome.is_fixture and outcome.outcome != "lost" for outcome in self._outcomes)
        return RunReport(
            tests=tuple(self._outcomes),
            declared=len(self._loaded.tests),
            executed=executed,
            seed=run_seed(),
            workers=1,
            duration=duration,
            interrupted=interrupted,
            stopped=stopped,
            fail_on=self._options.fail_on,
        )
