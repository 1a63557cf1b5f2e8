"""The figures on partial order reduction: how many runs programs need, and that random ones lose nothing by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from benchmarks.measure import Compared, Figure, Subject
from benchmarks.reduction.every_order import EveryOrder
from benchmarks.reduction.explored import Program, TooMany, explore
from benchmarks.reduction.programs import actors, casts, counter, independent, philosophers
from benchmarks.reduction.random_programs import random_program
from supertester.schedule.strategies.dpor import Dpor

__all__ = ["compared", "figures", "runs_of"]

MOST = 400
"""Orders of a random program beyond which it is left out."""


def runs_of(program: Program) -> Callable[[int], float]:
    """Return what counts the runs that the reduction needs for *program*."""

    def run(_units: int) -> float:
        found = explore(program, Dpor(watches_lines=False))
        if not found.strategy.exhausted or found.strategy.untracked:
            raise RuntimeError(f"this proves nothing: {found.strategy.untracked}")
        return len(found.outcomes)

    return run


def compared(seeds: Iterable[int], *, plain: bool) -> tuple[int, int, int]:
    """Compare the outcomes of random programs with and without reduction; return how many, and the runs of both.

    Args:
        seeds: Of the programs.
        plain: Whether their state is ordinary, so that their lines have to be watched.

    Raises:
        RuntimeError: Those of a program differ.
    """
    count = every_runs = some_runs = 0
    for seed in seeds:
        program = random_program(seed, plain=plain)
        try:
            every = explore(program, EveryOrder(), limit=MOST)
        except TooMany:
            continue
        some = explore(program, Dpor(watches_lines=plain))
        if set(every.outcomes) != set(some.outcomes):
            missed = set(every.outcomes) ^ set(some.outcomes)
            raise RuntimeError(f"{len(missed)} outcomes of {program!r}, seed {seed}, differ: {missed}")
        count += 1
        every_runs += len(every.outcomes)
        some_runs += len(some.outcomes)
    return count, every_runs, some_runs


def share_of_runs(*, plain: bool) -> Callable[[int], float]:
    """Return what tells how many runs random programs need, as a share of all orders."""

    def run(units: int) -> float:
        _, every, some = compared(range(units), plain=plain)
        return some / every

    return run


def seconds_a_run(*, watches_lines: bool) -> Callable[[int], float]:
    """Return what tells how long one of many runs takes."""

    def run(units: int) -> float:
        begun = perf_counter()
        runs = 0
        while runs < units:
            strategy = Dpor(watches_lines=watches_lines)
            runs += len(explore(actors(clients=4, servers=2, messages=2), strategy).outcomes)
        return (perf_counter() - begun) / runs

    return run


def figures() -> list[Figure]:
    known = {
        "counter under a lock, 3 workers": (counter(3), 36),
        "independent, 6 workers": (independent(6), 1),
        "philosophers, ordered forks, 3": (philosophers(3), 36),
        "3 clients, 1 server with a queue": (casts(3), 48),
        "3 clients, 1 server": (actors(clients=3, servers=1, messages=1), 6),
        "5 clients, 1 server": (actors(clients=5, servers=1, messages=1), 120),
        "4 clients, 2 servers, 2 messages each": (actors(clients=4, servers=2, messages=2), 36),
        "4 clients, 4 servers, 4 messages each": (actors(clients=4, servers=4, messages=4), 1),
    }
    return [
        Figure(
            name="dpor-runs",
            title="what it takes to have tried everything",
            unit="program",
            reference=next(iter(known)),
            compared=Compared.ALONE,
            quantity="runs",
            subjects=[
                Subject(name=name, run=runs_of(program), units=1, goal=goal) for name, (program, goal) in known.items()
            ],
        ),
        Figure(
            name="dpor-random",
            title="as a share of all orders, with the same outcomes",
            unit="run",
            reference="tracked state",
            compared=Compared.ALONE,
            quantity="share",
            subjects=[
                Subject(name="tracked state", run=share_of_runs(plain=False), units=500),
                Subject(name="plain state", run=share_of_runs(plain=True), units=500),
            ],
        ),
        Figure(
            name="dpor-speed",
            title="4 clients, 2 servers, 2 messages each",
            unit="run",
            reference="accesses reported by objects",
            compared=Compared.ALONE,
            subjects=[
                Subject(name="accesses reported by objects", run=seconds_a_run(watches_lines=False), units=3_000),
                Subject(name="lines watched", run=seconds_a_run(watches_lines=True), units=500),
            ],
        ),
    ]
