"""The command ``python -m benchmarks bugs``."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bugs import Bug, Program, programs
from benchmarks.bugs.peers import peers
from benchmarks.bugs.search import Found, Search, count, search, share
from benchmarks.bugs.table import Table, goals
from supertester.errors import UsageError
from supertester.schedule.strategies import named_strategy

__all__ = ["main"]

STRATEGIES = ("auto", "pos", "roles", "pct", "urw", "sticky", "random", "bounded")


def main(arguments: Sequence[str]) -> int:
    """Show the table; 1 if a goal is missed, or if something is found in a correct program."""
    parser = _parser()
    options = parser.parse_args(arguments)
    bugs = _chosen(options)
    if not bugs:
        parser.error(f"there is no such program; there are {', '.join(bug.name for bug in programs())}")
    logging.disable(logging.CRITICAL)  # What explorers log of each failure,
    warnings.simplefilter("ignore")  # and coroutines that a failing schedule never awaits, would hide the table.
    print(f"Python {platform.python_version()}", flush=True)
    if options.rates:
        _show_rates(bugs, options.strategies, options.rates)
        return 0
    columns = {name: search(name) for name in options.strategies} | (peers() if options.peers else {})
    found = _show_searches(bugs, columns, options)
    if options.json:
        _write(options.json, found)
    if options.twins:
        return int(any(each.times for row in found.values() for each in row.values()))
    said = goals(bugs, found)
    for text, kept in said:
        print(f"{text}: {'met' if kept else 'missed'}")
    return int(not all(kept for _, kept in said))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks bugs",
        description="Count the schedules until a bug is found: the median, and in (how many) searches, if not in all.",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a program, or a part of the names of several")
    add("--suite", choices=sorted({bug.suite for bug in programs()}), help="only the programs of one suite")
    add("--strategies", type=_names, default=STRATEGIES, metavar="A,B", help=f"the columns: {','.join(STRATEGIES)}")
    add("--seeds", type=_positive, default=5, metavar="N", help="how many searches (5)")
    add("--cap", type=_positive, default=1000, metavar="N", help="the schedules of a search (1000)")
    add("--peers", action="store_true", help="also search with other explorers; see benchmarks/peers.txt")
    add("--twins", action="store_true", help="search the correct programs, in which nothing may be found")
    add("--rates", type=_positive, metavar="N", help="instead, how many schedules in a thousand fail, out of N")
    add("--json", type=Path, metavar="FILE", help="also write every search to FILE")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    try:
        for name in names:
            named_strategy(name)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def _chosen(options: argparse.Namespace) -> list[Bug]:
    return [
        bug
        for bug in programs(options.suite)
        if not options.names or any(name in bug.name for name in options.names)
        if bug.twin is not None or not options.twins
    ]


def _searched(bug: Bug, options: argparse.Namespace) -> Program:
    return bug.twin if options.twins and bug.twin is not None else bug.wrong


def _show_searches(
    bugs: Sequence[Bug], columns: Mapping[str, Search], options: argparse.Namespace
) -> dict[str, dict[str, Found]]:
    table = Table(list(columns))
    found = {}
    for bug in bugs:
        program = _searched(bug, options)
        row = found[bug.name] = {
            name: count(program, look, seeds=options.seeds, cap=options.cap) for name, look in columns.items()
        }
        table.row(bug.name, [str(each) for each in row.values()])
    table.sums(bugs, found)
    return found


def _show_rates(bugs: Sequence[Bug], strategies: Sequence[str], schedules: int) -> None:
    table = Table(strategies)
    for bug in bugs:
        table.row(bug.name, [f"{1000 * share(bug.wrong, name, schedules):.1f}" for name in strategies])


def _write(file: Path, found: Mapping[str, Mapping[str, Found]]) -> None:
    rows = {bug: {column: each.firsts for column, each in row.items()} for bug, row in found.items()}
    file.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
