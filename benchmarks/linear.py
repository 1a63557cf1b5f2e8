"""Figures on the checkers of linearizability, and ``python -m benchmarks.linear``, which says more of them.

Without options it prints how long the checkers without a search take, how long the search takes, and how long porcupine
took. ``--fuzz N`` holds the verdicts on so many small histories of each object against brute force.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from time import process_time
from typing import Any

from benchmarks.histories import OBJECTS, is_legal, keeps_time, large, possible, small, spoilt
from benchmarks.measure import Compared, Figure, Subject
from supertester.linear import MODELS, Operation, check_linearizable
from supertester.linear.history import checked
from supertester.linear.search import Search

__all__ = ["figures", "main"]

CLIENTS = 10
SIZES = (1_000, 10_000, 100_000, 1_000_000)
GOALS = {10_000: 1e-6, 1_000_000: 5e-6}
"""Seconds an operation: 10 ms for 10,000 of them, 5 s for a million."""

PORCUPINE: dict[tuple[str, int, int], tuple[float, float]] = {
    ("register", 5, 100): (0.13, 0.24),
    ("register", 5, 1_000): (1.0, 1.7),
    ("register", 5, 10_000): (25, 61),
    ("register", 10, 1_000): (6.2, 23),
    ("register", 10, 10_000): (205, 2_580),
    ("map", 10, 10_000): (4.5, 6.7),
    ("counter", 5, 10_000): (14, 33),
    ("counter", 10, 1_000): (3.5, 9.1),
    ("counter", 10, 10_000): (79, 298),
}
"""Milliseconds that porcupine (June 2026, Go 1.19, one processor) took for histories of this kind, by model, clients
and operations: linearizable ones, and those with one violation behind three fifths. It was not measured on the very
same ones, and what depends on them most is left out: queues, whose search is long or short by chance."""


@cache
def history(name: str, clients: int, count: int) -> list[Operation]:
    return large(name, count, clients)


def checking(name: str, units: int) -> float:
    """Return the seconds for an operation of a history of *units*; of processor time, for there is no waiting."""
    operations = history(name, CLIENTS, units)
    begun = process_time()
    found = check_linearizable(operations, name)
    seconds = process_time() - begun
    if not found or found.configurations:
        raise RuntimeError(f"a right history of a {name} is {found.verdict}")
    return seconds / units


def peak(units: int) -> float:
    """Return the most bytes for an operation that a check of a queue takes at a time."""
    operations = history("queue", CLIENTS, units)
    gc.collect()
    tracemalloc.start()
    try:
        check_linearizable(operations, "queue")
        return tracemalloc.get_traced_memory()[1] / units
    finally:
        tracemalloc.stop()


def figures() -> list[Figure]:
    by_size = [
        Figure(
            name=f"linear-{name}",
            title=f"is a {name} of {CLIENTS} clients linearizable",
            unit="operation",
            reference=f"{SIZES[0]:,}",
            compared=Compared.ALONE,
            subjects=[
                Subject(
                    name=f"{size:,}",
                    run=partial(checking, name),
                    units=size,
                    repeat=max(1, 50_000 // size),
                    goal=GOALS.get(size),
                    named_by_units=True,
                )
                for size in SIZES
            ],
        )
        for name in ("register", "queue")
    ]
    memory = Figure(
        name="linear-memory",
        title="what a check of a queue takes beside the history",
        unit="operation",
        reference="1,000",
        compared=Compared.COST,
        quantity="bytes",
        subjects=[
            Subject(name=f"{size:,}", run=peak, units=size, goal=2.0 if size == 100_000 else None, named_by_units=True)
            for size in (1_000, 10_000, 100_000)
        ],
    )
    by_name = [Subject(name=name, run=partial(checking, name), units=10_000) for name in OBJECTS]
    every = Figure(
        name="linear-all",
        title="the same of every object, 10,000 operations",
        unit="operation",
        reference="register",
        compared=Compared.ALONE,
        subjects=by_name,
    )
    return [*by_size, every, memory]


def searched(operations: Sequence[Operation], name: str) -> str:
    """Decide a history by the search alone."""
    model, parts = MODELS[name], dict[Any, list[Operation]]()
    for operation in checked(operations):
        parts.setdefault(model.key(operation), []).append(operation)
    if all(Search(part, model, 10_000_000).run() is not None for part in parts.values()):
        return "linearizable"
    return "not_linearizable"


def _milliseconds(check: Callable[[], Any], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begun = process_time()
        check()
        taken.append(process_time() - begun)
    return statistics.median(taken) * 1e3


def compare(rounds: int, rows: Mapping[tuple[str, int, int], tuple[float, float]] = PORCUPINE) -> float:
    """Print the times beside those of porcupine; return how many times as long the search takes, in the median."""
    columns = f"{'without search':>15} {'search':>10} {'porcupine':>10} {'search, times it':>17}"
    print(f"{'milliseconds for a history':34} {columns}")
    ratios = []
    for (name, clients, count), times in rows.items():
        right = history(name, clients, count)
        for kind, operations, porcupine in zip(("right", "wrong"), (right, spoilt(right, name)), times, strict=True):
            wanted = "linearizable" if kind == "right" else "not_linearizable"
            if {check_linearizable(operations, name).verdict, searched(operations, name)} != {wanted}:
                raise RuntimeError(f"the verdict on a {kind} history of a {name} is wrong")
            own = _milliseconds(partial(check_linearizable, operations, name), rounds)
            search = _milliseconds(partial(searched, operations, name), rounds)
            ratios.append(search / porcupine)
            row = f"{own:>15.2f} {search:>10.2f} {porcupine:>10.2f} {ratios[-1]:>16.2f}x"
            print(f"{name:10} {clients:>2} clients {count:>7,} {kind:>9} {row}", flush=True)
    median = statistics.median(ratios)
    print(f"\nin the median {median:.2f}x; at most 2x is the aim")
    return median


def fuzz(count: int) -> int:
    """Hold so many verdicts on each object to brute force; return how many are wrong."""
    wrong = 0
    for name, model in MODELS.items():
        seen: Counter[str] = Counter()
        for seed in range(count):
            operations = small(name, ("fuzz", seed), most=6 + seed % 6)
            found = check_linearizable(operations, name)
            seen[found.verdict] += 1
            seen["by search"] += found.configurations > 0
            right = bool(found) == possible(operations, model)
            if found and right:
                right = is_legal(found.order, model) and keeps_time(found.order, model)
            if not right:
                wrong += 1
                print(f"wrong: small({name!r}, ('fuzz', {seed}), most={6 + seed % 6})")
        print(f"{name:10} {dict(seen)}", flush=True)
    print(f"{wrong} of {count * len(MODELS):,} verdicts and orders are wrong")
    return wrong


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linear", description=__doc__)
    parser.add_argument("--fuzz", type=int, metavar="N", help="compare N histories of each object with brute force")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often to measure (5)")
    options = parser.parse_args(arguments)
    if options.fuzz:
        return 1 if fuzz(options.fuzz) else 0
    return int(compare(options.rounds) > 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
