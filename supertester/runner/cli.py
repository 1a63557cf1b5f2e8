"""The command line: what ``python -m unittest`` takes, and more."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from supertester.errors import UsageError
from supertester.runner.options import DEFAULT_TIMEOUT, START_METHODS, Options
from supertester.runner.outcomes import OUTCOMES
from supertester.runner.plain import module_name
from supertester.runner.settings import Collected

__all__ = ["make_parser", "options_of", "parse"]


def make_parser(prog: str = "python -m supertester") -> argparse.ArgumentParser:
    """Return the parser; each of its long options is a field of `Options`, or named in `options_of`."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Run unittest suites in worker processes, and lose nothing.",
        epilog="Without names, or with `discover`, tests are discovered. Exit status: 0 if all passed and every "
        "declared test ran, 1 if not, 2 if the command line makes no sense.",
        allow_abbrev=False,
        formatter_class=partial(argparse.HelpFormatter, width=_columns()),
    )
    parser.add_argument("names", nargs="*", metavar="TEST", help="modules, classes, methods or files; or `discover`")
    _add_unittest(parser)
    _add_discovery(parser.add_argument_group("discovery"))
    _add_workers(parser.add_argument_group("workers and time"))
    _add_selection(parser.add_argument_group("which tests, in which order, how often"))
    _add_reports(parser.add_argument_group("what fails, and reports"))
    return parser


def _columns() -> int:
    """Return the width for help. The parser would find it out itself, once for each option."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns) - 2
    except (ValueError, OSError):
        return 78


def _add_unittest(add: Any) -> None:
    add.add_argument("-v", "--verbose", dest="verbosity", action="store_const", const=2, default=1, help="a line each")
    add.add_argument("-q", "--quiet", dest="verbosity", action="store_const", const=0, help="only what went wrong")
    add.add_argument("--locals", dest="tb_locals", action="store_true", help="show local variables in tracebacks")
    add.add_argument("--durations", type=int, metavar="N", help="show the N slowest tests (0: all)")
    add.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    add.add_argument("-c", "--catch", action="store_true", help="with -j 0, let Ctrl-C wait for the test; else it does")
    add.add_argument("-b", "--buffer", action="store_true", help="show what tests wrote only if they failed")
    add.add_argument(
        "-k",
        dest="name_patterns",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only tests with this in the name",
    )


def _add_discovery(add: Any) -> None:
    add.add_argument("-s", "--start-directory", default=None, metavar="DIR", help="where to begin ('.')")
    add.add_argument("-p", "--pattern", default=None, metavar="GLOB", help="files with tests ('test*.py')")
    add.add_argument("-t", "--top-level-directory", default=None, metavar="DIR", help="the top of the project")


def _add_workers(add: Any) -> None:
    add.add_argument(
        "-j",
        "--jobs",
        type=_jobs,
        default=Options.jobs,
        metavar="N",
        help="worker processes (1); auto: one per core; 0: none",
    )
    add.add_argument(
        "--start-method",
        choices=tuple(START_METHODS),
        default=Options.start_method,
        help=f"how workers begin ({Options.start_method}); spawn: as fresh interpreters",
    )
    add.add_argument("--threads", type=int, default=1, metavar="N", help="tests at once in each worker (1)")
    add.add_argument(
        "--timeout", type=_seconds, default=DEFAULT_TIMEOUT, metavar="S", help="seconds per test; 0: no limit (300)"
    )
    add.add_argument("--grace", type=float, default=5.0, metavar="S", help="seconds for each further rung (5)")
    add.add_argument("--max-restarts", type=int, default=100, metavar="N", help="workers that may die (100)")
    add.add_argument("--shard", type=_shard, metavar="I/N", help="run the part number I of N")
    add.add_argument("--history", default=".supertester", metavar="DIR", help="where runs remember ('.supertester')")


def _add_selection(add: Any) -> None:
    add.add_argument("--layer", dest="layers", action=Collected, default=[], metavar="NAME", help="only this layer")
    add.add_argument(
        "--layer-limit",
        dest="layer_limits",
        action=Collected,
        default=[],
        type=layer_limit,
        metavar="NAME=S",
        help="seconds that a test of a layer may take, or none",
    )
    add.add_argument("--tag", metavar="EXPR", help="only tests whose tags fulfil this")
    add.add_argument("--last-failed", action="store_true", help="only tests that failed last")
    add.add_argument("--failed-first", action="store_true", help="begin with tests that failed last")
    add.add_argument("--shuffle", type=_seed, metavar="SEED", help="a random order, or that of SEED (--shuffle=7341)")
    add.add_argument("--repeat", type=int, default=1, metavar="N", help="run each test N times")
    add.add_argument("--until-fail", action="store_true", help="run again and again until something fails")
    add.add_argument("--rerun-failed", type=int, default=0, metavar="N", help="run failures again, up to N times")
    add.add_argument("--bisect", metavar="TEST", help="find the test that makes TEST fail, or pass")
    add.add_argument("--list", dest="list_only", action="store_true", help="print the tests, run none")


def _add_reports(add: Any) -> None:
    add.add_argument(
        "--fail-on",
        type=_outcomes,
        default=frozenset({"contaminated", "flaky", "lost"}),
        metavar="KINDS",
        help="what fails a run beside failures (contaminated,flaky,lost)",
    )
    add.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    add.add_argument("--html", metavar="FILE", help="write a page to look at")
    add.add_argument("--coverage", action="store_true", help="measure with coverage.py")


# Values ------------------------------------------------------------------------------------------------------------


def _jobs(text: str) -> int:
    if text == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a number or 'auto' is needed, got {text!r}")
    return int(text)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"seconds are a number, got {text!r}") from None
    if not seconds >= 0:  # Which is no number that can be compared, either.
        raise argparse.ArgumentTypeError(f"seconds are 0 or more, got {text!r}; 0 is for ever")
    return seconds or None


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"a shard is I/N, e.g. 1/4, got {text!r}")
    return int(found[1]), int(found[2])


def _seed(text: str) -> int:
    if text.lower() in {"random", "true", "yes", "on"}:
        from supertester._core.seeds import run_seed

        return run_seed()
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is an integer of 0 or more, got {text!r}")
    return int(text)


def layer_limit(text: str) -> tuple[str, float | None]:
    """Return the layer and the seconds of an option such as ``unit=0.5``; see `parse_limit`."""
    from supertester.runner.layers import parse_limit

    try:
        return parse_limit(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _outcomes(text: str) -> frozenset[str]:
    names = frozenset(filter(None, (name.strip() for name in text.split(","))))
    if unknown := sorted(names - set(OUTCOMES)):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(OUTCOMES)}")
    return names


# From arguments to options -----------------------------------------------------------------------------------------


def parse(arguments: Sequence[str], parser: argparse.ArgumentParser | None = None) -> Options:
    """Return the options that *arguments* ask for.

    Raises:
        SystemExit: They make no sense (status 2), or ask for help.
        UsageError: A value makes no sense.

    >>> parse(["-k", "bank", "-j", "2", "discover", "-s", "tests"]).start_directory
    'tests'
    """
    parser = parser or make_parser()
    # An optional value would swallow the name of a test after it, so the seed needs a `=`.
    spelled = ["--shuffle=random" if each == "--shuffle" else each for each in arguments]
    return options_of(parser.parse_intermixed_args(spelled), parser)


def options_of(parsed: argparse.Namespace, parser: argparse.ArgumentParser) -> Options:
    """Return the options that were parsed."""
    given = vars(parsed)
    names = [*given.pop("names")]
    discovery = ("start_directory", "pattern", "top_level_directory")
    if discover := names[:1] == ["discover"]:
        positional = names[1:]
        if len(positional) > len(discovery):
            parser.error(f"discover takes at most 3 names, got {' '.join(positional)}")
        for name, value in zip(discovery, positional, strict=False):
            given[name] = given[name] if given[name] is not None else value
        names = []
    for name in discovery:
        if given[name] is None:
            del given[name]
    for name in ("name_patterns", "layers"):
        given[name] = tuple(given[name])
    given["layer_limits"] = dict(given["layer_limits"])
    return Options(names=tuple(map(module_name, names)), discover=discover, **given)
