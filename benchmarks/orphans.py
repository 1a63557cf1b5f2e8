"""The command ``python -m benchmarks orphans``: whether anything outlives a test process, however that ends.

A round starts 15 programs. Each starts a family (a child, a grandchild, and one that has left their process group) by
``start_process``, and comes to an end of its own kind while the family waits, is busy, or is suspended.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.targets.orphans import ENDINGS, STATES, family_of, left, run

__all__ = ["Cell", "Ended", "ended", "main", "run_cell", "summary"]

ENOUGH = 60.0
"""Seconds in which a family has to be gone, on a machine that may be busy."""

Cell = tuple[str, str]


@dataclass(frozen=True)
class Ended:
    """How one program ended: what was left of its family, and how long it took to be gone."""

    cell: Cell
    left: tuple[int, ...]
    seconds: float


def run_cell(cell: Cell) -> Ended:
    """Run one program and wait until its family is gone, or long enough; what is left is killed."""
    with run(*cell) as program:
        family = family_of(program)
        program.wait(ENOUGH)
    return ended(cell, family, ENOUGH)


def ended(cell: Cell, family: list[psutil.Process], enough: float) -> Ended:
    """Wait for the end of *family*, no longer than *enough* seconds, and kill who does not come to it."""
    began = time.monotonic()
    found = left(family, enough)
    seconds = time.monotonic() - began
    for each in found:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    return Ended(cell, tuple(each.pid for each in found), seconds)


def summary(found: Iterable[Ended]) -> list[str]:
    """Return the table: for each cell how often it was run, what was left, and the longest time until all were gone."""
    rows: dict[Cell, list[Ended]] = defaultdict(list)
    for each in found:
        rows[each.cell].append(each)
    lines = [f"{'the test process':<18}{'the family':<12}{'runs':>6}{'left':>6}{'gone within':>14}"]
    for (ending, state), runs in sorted(rows.items()):
        count = sum(len(each.left) for each in runs)
        longest = max(each.seconds for each in runs)
        lines.append(f"{ending:<18}{state:<12}{len(runs):>6}{count:>6}{longest:>12.3f} s")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Run the rounds and show the table; 1 if a process was left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks orphans", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="how often each of the 15 is run (10)")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="programs that are run beside each other (4)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.jobs < 1:
        parser.error("--rounds and --jobs are 1 or more")
    cells = list(itertools.product(ENDINGS, STATES)) * options.rounds
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        found = []
        for each in pool.map(run_cell, cells):
            found.append(each)
            if len(found) % (20 * len(cells) // options.rounds) == 0:
                print(f"{len(found)} of {len(cells)} programs", flush=True)
    print("\n".join(summary(found)))
    count = sum(len(each.left) for each in found)
    print(f"\n{len(found)} programs in {time.monotonic() - began:.0f} s; {count} processes were left")
    return int(count > 0)
