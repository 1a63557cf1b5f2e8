"""``python -m benchmarks.verdicts``: how often verdicts on speed are wrong, while all processors are busy.

A/A: an operation is held to itself, and must not fail. 20 %: it is held to one that does a sixth less, and has to fail.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

from supertester.performance import Rounds, probe_regression

__all__ = ["busy_machine", "main", "verdicts"]

SIZE = 300
MOST = 320
"""Rounds of a verdict, unless another number is asked for: those of `probe_regression`."""


def operation(size: int = SIZE) -> int:
    """Do about a tenth of a millisecond of what programs do."""
    found = {}
    for number in range(size):
        found[number] = str(number)
    return len(found)


slower = partial(operation, SIZE * 6 // 5)
"""A fifth more of it, in as many calls: those would tell at once."""


CASES: dict[str, Callable[[], Any]] = {"A/A": operation, "20 % slower": slower}


def _burn() -> None:
    while True:
        operation()


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """Let so many other processes compute while the body runs."""
    burning = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(processes)]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.terminate()
            process.join()


async def verdicts(fn: Callable[[], Any], by: str, times: int, most: int = MOST) -> tuple[Counter[str], float]:
    """Return the verdicts on *fn* against `operation`, in *most* rounds, and the seconds that each took."""
    rounds = Rounds(first=min(20, most), most=most)
    found: Counter[str] = Counter()
    begun = perf_counter()
    for _ in range(times):
        found[(await probe_regression(fn, operation, by=by, rounds=rounds)).verdict.value] += 1
    return found, (perf_counter() - begun) / times


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--times", type=int, default=1_000, help="verdicts for each row (1,000)")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="other processes that compute meanwhile")
    parser.add_argument("--most", type=int, default=MOST, help=f"rounds after which a verdict is left open ({MOST})")
    options = parser.parse_args(arguments)
    print(f"{options.times} verdicts each, {options.busy} other processes computing, {os.cpu_count()} processors")
    print(f"{'':12} {'by':>5} {'pass':>6} {'fail':>6} {'inconclusive':>13} {'seconds each':>13}")
    with busy_machine(options.busy):
        for name, fn in CASES.items():
            for by in ("cpu", "time"):
                found, seconds = asyncio.run(verdicts(fn, by, options.times, options.most))
                cells = f"{found['pass']:>6} {found['fail']:>6} {found['inconclusive']:>13} {seconds:>13.2f}"
                print(f"{name:12} {by:>5} {cells}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
