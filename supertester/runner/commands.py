"""The commands beside running tests: ``python -m supertester audit DIR`` and ``python -m supertester lint DIR``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from supertester.errors import UsageError
from supertester.runner.writing import write

__all__ = ["run_command"]


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Do what the command *name* does with *arguments*, and return the exit status.

    0: nothing was found to be wrong. 1: something was. 2: the arguments make no sense.
    """
    try:
        return _COMMANDS[name](arguments)
    except UsageError as error:
        print(f"python -m supertester {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m supertester {name}", description=description, allow_abbrev=False)


def _audit(arguments: Sequence[str]) -> int:
    from supertester.runner.audit import Limits, audit
    from supertester.runner.cli import layer_limit
    from supertester.runner.options import Options
    from supertester.runner.settings import Collected, apply_settings

    parser = _parser("audit", "Ask five questions about a suite: sleeps, isolation, order, time, flakiness.")
    parser.add_argument("folder", metavar="DIR", help="where the tests are")
    parser.add_argument("-t", "--top-level-directory", metavar="DIR", help="the folder that imports begin in")
    parser.add_argument("-p", "--pattern", default="test*.py", help="which files are tests (%(default)s)")
    parser.add_argument("-j", "--jobs", type=_jobs, default=_jobs("auto"), metavar="N", help="processes, or auto")
    parser.add_argument("--layer", action="append", default=[], metavar="NAME", help="only tests of this layer")
    parser.add_argument(
        "--layer-limit",
        dest="layer_limits",
        action=Collected,
        default=[],
        type=layer_limit,
        metavar="NAME=S",
        help="seconds that a test of a layer may take, or none",
    )
    parser.add_argument("--tag", metavar="EXPR", help="only tests whose tags fulfil this")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="random orders that must pass (%(default)s)")
    parser.add_argument("--runs", type=int, default=100, metavar="N", help="runs without a flake (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="for all tests (%(default)s)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="for each test (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write what was found as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing before the end")
    apply_settings(parser, section="audit")
    given = parser.parse_args(arguments)
    options = Options(
        jobs=given.jobs,
        pattern=given.pattern,
        top_level_directory=given.top_level_directory,
        timeout=given.timeout,
        layers=tuple(given.layer),
        layer_limits=dict(given.layer_limits),
        tag=given.tag,
    )
    limits = Limits(seeds=given.seeds, runs=given.runs, seconds=given.seconds)
    report = audit(given.folder, limits=limits, options=options, say=_silent if given.quiet else _say)
    write(sys.stdout, f"{report}\n")
    if given.json:
        Path(given.json).write_text(json.dumps(report.to_dict(), indent=2), encoding="utf-8")
    return 0 if report.ok else 1


def _jobs(text: str) -> int:
    return os.cpu_count() or 1 if text == "auto" else int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _silent(text: str) -> None:
    """Say nothing."""


def _lint(arguments: Sequence[str]) -> int:
    from supertester.runner.lint import check_no_sleep, python_files

    parser = _parser("lint", "Look for what is wrong with tests by their source alone.")
    parser.add_argument("paths", nargs="+", metavar="DIR", help="files, and folders to look through")
    parser.add_argument("--no-sleep", action="store_true", help="find calls that sleep; the one rule, so always on")
    given = parser.parse_args(arguments)
    findings = check_no_sleep(*given.paths)
    for finding in findings:
        write(sys.stdout, f"{finding}\n")
    files = len(python_files(*given.paths))
    print(f"{len(findings)} sleeps in {files} files" if findings else f"no sleep in {files} files", file=sys.stderr)
    return 1 if findings else 0


_COMMANDS: Final[dict[str, Callable[[Sequence[str]], int]]] = {"audit": _audit, "lint": _lint}
