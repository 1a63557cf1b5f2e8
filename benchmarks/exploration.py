"""``python -m benchmarks.exploration``: every promise about exploration and linearizability, one after the other.

Each is measured by a command of its own, which ends with a status other than 0 if it is not kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PROMISES", "Promise", "main"]


@dataclass(frozen=True)
class Promise:
    """What is promised, and the arguments of ``python -m`` by which it is measured."""

    what: str
    command: tuple[str, ...]


PROMISES = (
    Promise("the order of steps is asyncio's in 5,000 random programs", ("benchmarks.parity",)),
    Promise("one seed has one outcome in 20 processes", ("benchmarks.determinism",)),
    Promise("schedules a second, bare and in tests", ("benchmarks", "--strict", "schedules-lock", "schedules-test")),
    Promise("the known bugs are found", ("benchmarks", "bugs", "--suite", "known", "--strategies", "auto")),
    Promise("failures shrink, and 100 of 100 replays show them again", ("benchmarks.replay",)),
    Promise(
        "reduction needs no more runs than there are outcomes", ("benchmarks", "--strict", "dpor-runs", "dpor-random")
    ),
    Promise("long histories are checked fast", ("benchmarks", "--strict", "linear-register", "linear-queue")),
    Promise("the search takes at most twice porcupine's time", ("benchmarks.linear",)),
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exploration", description=__doc__)
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="also replay with this one")
    options = parser.parse_args(arguments)
    pythons = [f"--python={path}" for path in options.python]
    kept: dict[str, bool] = {}
    for promise in PROMISES:
        print(f"\n== {promise.what} ==\n$ python -m {' '.join(promise.command)}", flush=True)
        more = pythons if promise.command[0] == "benchmarks.replay" else []
        kept[promise.what] = (
            subprocess.run([sys.executable, "-m", *promise.command, *more], check=False).returncode == 0
        )
    print()
    for what, is_kept in kept.items():
        print(f"{'kept' if is_kept else 'MISSED':8}{what}")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
