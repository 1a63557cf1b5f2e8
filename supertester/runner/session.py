"""What the command line asks for beside running tests: a choice of them, rounds, a memory, reports, a search."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from supertester.errors import UsageError
from supertester.runner.ledger import NOT_BEGUN
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import Observer, RunReport
from supertester.runner.running import run
from supertester.runner.writing import write

if TYPE_CHECKING:
    from supertester.runner.outcome_history import OutcomeHistory

__all__ = ["display", "run_session"]

_ORDINARY = Options()
_SPECIAL = (
    "layers",
    "tag",
    "last_failed",
    "failed_first",
    "shuffle",
    "bisect",
    "list_only",
    "repeat",
    "until_fail",
    "rerun_failed",
)


def display(options: Options) -> Observer:
    """Return who shows a run: a display that changes, where there is somebody to look at one, else lines that stay."""
    from supertester.runner.text import TextReport

    text = TextReport(verbosity=options.verbosity, buffer=options.buffer, durations=options.durations)
    if options.verbosity == 1 and sys.stderr.isatty():
        from supertester.runner.reports.live import LiveReport, can_be_live

        if can_be_live(sys.stderr):
            return LiveReport(text, buffer=options.buffer)
    return text


def run_session(loaded: Loaded, options: Options, observers: Sequence[Observer]) -> RunReport:
    """Choose among the loaded tests, run them as often as is asked for, remember the outcomes, and write reports.

    Raises:
        UsageError: There is no such test, or a report cannot be written where it is to be.
        SystemExit: Tests were listed, or another test was found that one depends on; no run is to be reported.
    """
    from supertester.runner.outcome_history import OutcomeHistory

    _check_files(options)
    history = OutcomeHistory.read(options.history) if options.history is not None else OutcomeHistory(".")
    # The parts of a suite are parts of what was chosen: each machine chooses the same.
    chosen = _shard(_chosen(loaded, options, history), options, observers)
    report = _run(chosen, options, observers)
    if options.history is not None:
        history = history.add(_outcomes(report), seed=report.seed)
        if history.problem:
            sys.stderr.write(f"{history.problem}\n")
    _write(report, options, history)
    return report


def _shard(loaded: Loaded, options: Options, observers: Sequence[Observer]) -> Loaded:
    if options.shard is None:
        return loaded
    from supertester.runner.history import History
    from supertester.runner.sharding import fingerprint, shard_of

    durations = History(options.history).durations()
    chosen = loaded.choose(shard_of(loaded.tests, options.shard, durations))
    number, parts = options.shard
    text = (
        f"shard {number}/{parts}: {len(chosen.tests)} of {len(loaded.tests)} tests; all shards fit together that say "
    )
    for each in observers:
        each.noted(text + fingerprint(loaded.tests, durations))
    return chosen


def _chosen(loaded: Loaded, options: Options, history: OutcomeHistory) -> Loaded:
    if not _is_special(options):
        return loaded
    from supertester.runner.rounds import chosen_tests

    return loaded.choose(chosen_tests(loaded.tests, options, history))


def _run(chosen: Loaded, options: Options, observers: Sequence[Observer]) -> RunReport:
    if not _is_special(options):
        return run(chosen, options, observers)
    if options.list_only:
        _list(chosen)
    if options.bisect is not None:
        _bisect(chosen, options, options.bisect)
    from supertester.runner.rounds import run_rounds

    return run_rounds(chosen, options, observers)


def _outcomes(report: RunReport) -> list[tuple[str, str]]:
    # Of a test that never began, what is known from before is all that there is to know.
    return [(each.test_id, each.outcome) for each in report.tests if not each.is_fixture and each.reason != NOT_BEGUN]


def _is_special(options: Options) -> bool:
    """Say whether there is anything to do but to run all tests once, in their order."""
    return any(getattr(options, name) != getattr(_ORDINARY, name) for name in _SPECIAL)


def _check_files(options: Options) -> None:
    for name in filter(None, (options.junit, options.html)):
        from pathlib import Path  # Most runs write no report, and it takes its time to load.

        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"no report can be written to {name}: {error}") from None
        if path.is_dir():
            raise UsageError(f"no report can be written to {name}, which is a folder; name a file")


def _list(loaded: Loaded) -> None:
    for test in loaded.tests:
        write(sys.stdout, f"{test.test_id}\n")
    raise SystemExit(0 if loaded.tests else 1)


def _bisect(loaded: Loaded, options: Options, name: str) -> None:
    from supertester.runner.bisecting import bisect
    from supertester.runner.changes import recorded_changes

    def say(text: str) -> None:
        write(sys.stderr, f"{text}\n")
        sys.stderr.flush()

    try:
        report = bisect(loaded, name, options, say=say, record=lambda tests: recorded_changes(options, tests))
    except KeyboardInterrupt:
        say("interrupted")
        raise SystemExit(1) from None
    write(sys.stdout, f"{report}\n")
    raise SystemExit(0 if report.ok else 1)


def _write(report: RunReport, options: Options, history: OutcomeHistory) -> None:
    if options.junit is not None:
        from supertester.runner.reports.junit import junit_xml

        _write_text(options.junit, junit_xml(report))
    if options.html is not None:
        from supertester.runner.reports.page import run_page

        _write_text(options.html, run_page(report, history=history))


def _write_text(file: str, text: str) -> None:
    # What a test wrote may hold halves of letters, which no encoding has.
    with open(file, "w", encoding="utf-8", errors="backslashreplace") as made:  # noqa: PTH123
        made.write(text)
