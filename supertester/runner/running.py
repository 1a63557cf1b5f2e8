"""`run`: declared tests, options and observers in, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from supertester._core.seeds import run_seed
from supertester.errors import UsageError
from supertester.runner import collector
from supertester.runner.ledger import Ledger
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import Observer, RunReport

__all__ = ["run"]


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
    from supertester.runner.crew import Crew
    from supertester.runner.history import History
    from supertester.runner.plan import Plan, Settings

    if loaded.is_here and options.start_method == "spawn":
        raise UsageError(
            "the tests are in this process, where a fresh interpreter cannot find them; name them in Options for "
            "`load`, or use start_method='fork'"
        )
    collector.resume()
    seed = run_seed()
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
        attachments=options.attachments,
        coverage=options.coverage,
    )
    ledger = Ledger(plan.tests, observers)
    workers = max(1, min(options.jobs, len(plan.units)))
    ledger.begin(workers=workers, seed=seed)
    with loaded.nursery() as nursery:
        nursery.plan(settings, plan.tests)
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
    from supertester.runner.in_process import InProcess

    return InProcess(loaded, options, observers).run()
