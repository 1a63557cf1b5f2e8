"""Which tests run, in which order, and how often: everything that surrounds a single `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from supertester.runner.declared import DeclaredTest
from supertester.runner.layers import layer_counts, select
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.order import failed_first, only_failed, repeated, shuffled
from supertester.runner.outcome_history import OutcomeHistory
from supertester.runner.outcomes import FAILING, Observer, RunReport, TestOutcome
from supertester.runner.running import run

__all__ = ["chosen_tests", "run_rounds"]

Run = Callable[[Loaded, Options, Sequence[Observer]], RunReport]

_AGAIN: Final = FAILING | {"lost", "contaminated"}
"""The outcomes after which ``rerun_failed`` gives a test another chance."""


def chosen_tests(tests: Sequence[DeclaredTest], options: Options, history: OutcomeHistory) -> list[DeclaredTest]:
    """Return those of *tests* that *options* asks for, in the order that they ask for.

    Raises:
        UsageError: They ask for what there is none of: a layer, a tag, a test that failed.
    """
    chosen = select(tests, layers=options.layers, tag=options.tag)
    failed = history.last_failed() if options.last_failed or options.failed_first else []
    if options.last_failed:
        chosen = only_failed(chosen, failed)
    if options.shuffle is not None:
        chosen = shuffled(chosen, options.shuffle)
    return failed_first(chosen, failed) if options.failed_first else chosen


def run_rounds(loaded: Loaded, options: Options, observers: Iterable[Observer] = (), *, run: Run = run) -> RunReport:
    """Run the tests of *loaded* as often as *options* asks for, and return what became of all of it.

    With ``repeat`` every test has an outcome for each of its attempts. With ``until_fail`` rounds go on until one
    fails, and the report is that of the last. With ``rerun_failed`` a test that failed runs again, in a fresh process;
    if it passes then, its outcome is ``flaky``, with what it failed of first.

    Args:
        loaded: The tests, as `chosen_tests` chooses and orders them.
        options: What is asked for.
        observers: Who is told; `Observer.ended` is called once, with the report of it all.
        run: Runs tests once; another one for tests of this function.
    """
    tests = loaded.tests
    if options.shuffle is not None or options.failed_first:
        options = replace(options, keep_order=True)
    rounds = _Rounds(loaded, options, list(observers), run)
    if options.layers:
        counts = [f"{count} {layer}" for layer, count in layer_counts(tests).items() if count]
        rounds.note(f"tests by layer: {', '.join(counts)}")
    if options.shuffle is not None:
        rounds.note(f"in random order: --shuffle={options.shuffle}")
    report = rounds.until_fail(tests) if options.until_fail else rounds.all(tests)
    if options.shuffle is not None:
        report = replace(report, notes=(*report.notes, f"in random order: --shuffle={options.shuffle}"))
    for each in rounds.observers:
        each.ended(report)
    return report


class _Rounds:
    """Several runs, which look like one to who watches."""

    def __init__(self, loaded: Loaded, options: Options, observers: Sequence[Observer], run: Run) -> None:
        self.observers = observers
        self._loaded = loaded
        self._options = options
        self._run = run

    def all(self, tests: Sequence[DeclaredTest]) -> RunReport:
        times = self._options.repeat
        wanted = repeated(tests, times)
        if times > 1 and self._options.shuffle is not None:
            wanted = [test for each in range(times) for test in self._in_order(wanted, each + 1)]
        return self._with_reruns(self._once(wanted, self._options))

    def until_fail(self, tests: Sequence[DeclaredTest]) -> RunReport:
        """Run rounds until one fails, or until there were `Options.repeat` of them, if that says more than one."""
        most = self._options.repeat if self._options.repeat > 1 else None
        number = 0
        while True:
            number += 1
            wanted = self._in_order([replace(test, attempt=number) for test in tests], number)
            report = self._with_reruns(self._once(wanted, self._options))
            if not report.ok or number == most:
                break
            self.note(f"round {number} passed: {report.executed} tests in {report.duration:.2f} s")
        text = f"round {number} {_ended(report)} after {number - 1} that passed"
        return replace(report, notes=(*report.notes, text))

    def _in_order(self, tests: Sequence[DeclaredTest], attempt: int) -> list[DeclaredTest]:
        part = [test for test in tests if test.attempt == attempt]
        return part if self._options.shuffle is None else shuffled(part, self._options.shuffle)

    def _once(self, tests: Sequence[DeclaredTest], options: Options) -> RunReport:
        observers: Any = [_WithoutEnd(each) for each in self.observers]
        return self._run(self._loaded.choose(tests), options, observers)

    def note(self, text: str) -> None:
        """Tell who watches."""
        for each in self.observers:
            each.noted(text)

    # Those that failed, again ------------------------------------------------------------------------------------

    def _with_reruns(self, report: RunReport) -> RunReport:
        """Return *report* after the tests that failed have had another chance, or as many as there may be."""
        first = {id(each): each for each in report.tests if each.outcome in _AGAIN and each.declared is not None}
        flaky: dict[int, TestOutcome] = {}
        for attempt in range(1, self._options.rerun_failed + 1):
            left = {key: each for key, each in first.items() if key not in flaky}
            if not left or report.interrupted:
                break
            self.note(f"running {len(left)} that failed again, attempt {attempt} of {self._options.rerun_failed}")
            for again in self._again(left.values()):
                flaky |= _passed_now(left, again, attempt)
                report = replace(
                    report,
                    duration=report.duration + again.duration,
                    interrupted=again.interrupted,
                    notes=(*report.notes, *again.notes),
                )
        return _merged(report, flaky) if flaky else report

    def _again(self, failed: Iterable[TestOutcome]) -> Iterator[RunReport]:
        """Run tests again, each in a fresh process; those that share a fixture share that too."""
        options = replace(self._options, jobs=1, threads=1, failfast=False)
        groups: dict[object, list[DeclaredTest]] = {}
        for test in (each.declared for each in failed if each.declared is not None):
            groups.setdefault((test.fixture or test.index, test.attempt), []).append(test)
        for group in groups.values():
            report = self._once(group, options)
            yield report
            if report.interrupted:
                return


def _ended(report: RunReport) -> str:
    if report.interrupted:
        return "was interrupted"
    return "passed" if report.ok else "failed"


def _passed_now(left: dict[int, TestOutcome], again: RunReport, attempt: int) -> dict[int, TestOutcome]:
    """Return those of *left* that passed when they ran again, as flaky ones."""
    passed = {
        (each.declared.index, each.attempt)
        for each in again.tests
        if each.declared is not None and each.outcome in {"passed", "expected_failure"}
    }
    return {
        key: replace(each, outcome="flaky", reason=_why_flaky(each, attempt))
        for key, each in left.items()
        if each.declared is not None and (each.declared.index, each.attempt) in passed
    }


def _why_flaky(first: TestOutcome, attempt: int) -> str:
    kind = first.outcome.replace("_", " ")
    return (
        f"{kind} at first{f' ({first.reason})' if first.reason else ''}, passed when run again the {_nth(attempt)} time"
    )


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _merged(report: RunReport, flaky: dict[int, TestOutcome]) -> RunReport:
    """Return *report* with the *flaky* outcomes in their places; so is a set-up that failed, if its tests are well."""
    found = sum(each.outcome == "lost" for each in report.tests if id(each) in flaky)
    tests = [flaky.get(id(each), each) for each in report.tests]
    still_bad = {name for each in tests if each.outcome in _AGAIN and each.declared for name in _owners(each.declared)}
    tests = [
        replace(each, outcome="flaky") if _is_set_up(each) and _owner(each) not in still_bad else each for each in tests
    ]
    return replace(report, tests=tuple(tests), executed=report.executed + found)


def _owners(test: DeclaredTest) -> tuple[str, str]:
    return (test.module, test.class_id)


def _is_set_up(outcome: TestOutcome) -> bool:
    return outcome.is_fixture and outcome.outcome in _AGAIN and outcome.test_id.startswith("setUp")


def _owner(outcome: TestOutcome) -> str:
    """Return the class or module that a fixture belongs to: it is called ``setUpClass (tests.test_bank.TestBank)``."""
    return outcome.test_id.partition("(")[2].rstrip(")")


class _WithoutEnd:
    """Passes everything on but the end, of which there are several."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._observer, name)

    def ended(self, report: RunReport) -> None:
        """Do nothing: the end of it all is told by who knows it."""
