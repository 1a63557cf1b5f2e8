"""`run`: declared tests, options and observers in, a report out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from supertester._core.seeds import run_seed
from supertester.errors import UsageError
from supertester.runner.companions import companions_of
from supertester.runner.declared import DeclaredTest
from supertester.runner.ledger import Ledger
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
    options = options or Options()
    if options.jobs == 0:
        return _in_process(loaded, options, list(observers))
    return _in_workers(loaded, options, list(observers))


def _in_workers(loaded: Loaded, options: Options, observers: Sequence[Observer]) -> RunReport:
    from dataclasses import asdict

    from supertester.runner.crew import Crew
    from supertester.runner.history import History
    from supertester.runner.plan import Plan
    from supertester.runner.worker import Settings

    seed = run_seed()  # Drawn here, so that all processes have it.
    one_by_one = options.jobs == 1 and options.threads == 1
    is_ordered = options.keep_order or options.shuffle is not None or options.failed_first
    history = History(options.history)
    durations = {} if one_by_one or is_ordered else history.durations()
    plan = Plan.of(loaded.tests, durations, keep_order=one_by_one or options.keep_order)
    settings = Settings(
        failfast=options.failfast,
        tb_locals=options.tb_locals,
        keep_exceptions=options.keep_exceptions,
        keep_set_up=one_by_one,
        threads=options.threads,
        timeout=options.timeout,
        warnings=options.warnings,
        layer_limits=dict(options.layer_limits),
    )
    ledger = Ledger(plan.tests, observers)
    workers = max(1, min(options.jobs, len(plan.units)))
    ledger.begin(workers=workers, seed=seed)
    with loaded.nursery() as nursery:
        nursery.plan(asdict(settings), plan.tests)
        crew = Crew(
            nursery,
            plan,
            settings,
            ledger,
            jobs=options.jobs,
            grace=options.grace,
            max_restarts=options.max_restarts,
        )
        crew.run()
    history.remember(ledger.outcomes)
    return ledger.close(
        workers=workers, seed=seed, fail_on=options.fail_on, interrupted=crew.interrupted, stopped=crew.stopped
    )


def _in_process(loaded: Loaded, options: Options, observers: Sequence[Observer]) -> RunReport:
    if not loaded.is_here:
        raise UsageError("the tests were loaded by another process; load them with jobs=0 to run them in this one")
    return _InProcess(loaded, options, observers).run()


class _InProcess:
    """A run in this process, one test after the other."""

    def __init__(self, loaded: Loaded, options: Options, observers: Sequence[Observer]) -> None:
        self._loaded = loaded
        self._options = options
        self._ledger = Ledger(loaded.tests, observers)
        self._position = 0
        self._blocked: tuple[bool, str] = (False, "it reported nothing to its result")

    def run(self) -> RunReport:
        self._ledger.begin(workers=1, seed=run_seed())
        interrupted = False
        recorder = self._recorder()
        try:
            self._walk(recorder)
        except KeyboardInterrupt:
            interrupted = True
        why = "--failfast" if self._options.failfast else "a test asked to stop"
        return self._ledger.close(
            workers=1,
            seed=run_seed(),
            fail_on=self._options.fail_on,
            interrupted=interrupted,
            stopped=why if recorder.shouldStop and not interrupted else "",
        )

    def _recorder(self) -> Recorder:
        recorder = Recorder(
            lambda _: self._loaded.tests[self._position],
            begin=self._begin,
            end=self._end,
            tb_locals=self._options.tb_locals,
            keep_exceptions=self._options.keep_exceptions,
            companions=companions_of(self._loaded.tests, layer_limits=self._options.layer_limits),
        )
        recorder.failfast = self._options.failfast
        return recorder

    def _walk(self, recorder: Recorder) -> None:
        walk = Walk(recorder, self._not_run)
        for position, declared in enumerate(self._loaded.tests):
            if recorder.shouldStop:
                break
            self._position = position
            walk.step(self._loaded.object_of(declared))
            if not recorder.conclude():
                self._leave_out()
        walk.finish()

    def _begin(self, declared: DeclaredTest | None, test_id: str, at: float) -> None:
        self._ledger.started(self._position, 0, at)

    def _end(self, outcome: TestOutcome) -> None:
        self._ledger.enter(None if outcome.is_fixture else self._position, outcome)

    def _not_run(self, test: Any, skipped: bool, why: str) -> None:  # noqa: FBT001 - the signature of `Walk`
        self._blocked = skipped, why

    def _leave_out(self) -> None:
        skipped, why = self._blocked
        if not skipped:
            self._ledger.lose(self._position, f"not run: {why}")
            return
        declared = self._loaded.tests[self._position]
        outcome = TestOutcome(
            test_id=declared.test_id, outcome="skipped", declared=declared, started=time.time(), reason=why
        )
        self._ledger.enter(self._position, outcome)
