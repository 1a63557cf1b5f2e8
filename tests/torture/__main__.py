"""``python -m tests.torture``: run the library's own tests beside each other, and say what interfered."""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
import unittest
import warnings
from collections.abc import Sequence
from pathlib import Path

from tests.torture.rounds import torture
from tests.torture.units import units_of

FOLDER = Path(__file__).parents[1]
# These build, install, or run the suite itself, and take their time.
LEFT_OUT = frozenset({"benchmarks", "docs", "project", "torture", "typing", "wheel"})


def default_names() -> list[str]:
    """Return the names of the packages and modules of tests that can be tortured."""
    found = [path.name for path in FOLDER.iterdir() if (path / "__init__.py").is_file()]
    found += [path.stem for path in FOLDER.glob("test_*.py")]
    return [f"tests.{name}" for name in sorted(found) if name not in LEFT_OUT]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages, modules, classes or tests (all)")
    parser.add_argument("--rounds", type=int, default=50, help="how often (50)")
    parser.add_argument("--threads", type=int, default=8, help="how many at a time (8)")
    parser.add_argument("--seed", type=int, default=None, help="decides the order (random)")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a round hangs (600)")
    parser.add_argument("--not-alone", action="store_true", help="leave out what has to run alone")
    parser.add_argument("--list-alone", action="store_true", help="only say what has to run alone, and why")
    options = parser.parse_args(arguments)
    unittest.TestCase.maxDiff = None  # What is found once may never be found again.
    units = units_of(options.names or default_names())
    if options.list_alone:
        for unit in units:
            if unit.alone:
                print(f"{unit.name}: {unit.alone}")
        return 0
    if options.not_alone:
        units = [unit for unit in units if not unit.alone]
    gc.collect()
    gc.freeze()  # What is loaded stays, and need not be looked at by each collection.
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    apart = sum(bool(unit.alone) for unit in units)
    print(f"{len(units) - apart} units at once in {options.threads} threads, {apart} alone, seed {seed}", flush=True)
    began = time.monotonic()
    report = torture(
        units,
        rounds=options.rounds,
        threads=options.threads,
        seed=seed,
        limit=options.limit,
        say=lambda text: print(f"{text} ({time.monotonic() - began:.0f} s)", flush=True),
    )
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    if not sys.warnoptions:
        warnings.simplefilter("error")
    sys.exit(main(sys.argv[1:]))
