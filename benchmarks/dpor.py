"""The figures on partial order reduction: how many runs programs need, and that random ones lose nothing by it."""

from __future__ import annotations

from collections.abc import Callable
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
        found = explore(program, Dpor())
        if not found.strategy.exhausted or found.strategy.untracked:
            raise RuntimeError(f"this proves nothing: {found.strategy.untracked}")
        return len(found.outcomes)

    return run


def compared(seeds: range) -> tuple[int, int, int]:
    """Compare the outcomes of random programs with and without reduction; return how many, and the runs of both.

    Raises:
        RuntimeError: Those of a program differ.
    """
    count = every_runs = some_runs = 0
    for seed in seeds:
        program = random_program(seed)
        try:
            every = explore(program, EveryOrder(), limit=MOST)
        except TooMany:
            continue
        some = explore(program, Dpor())
        if set(every.outcomes) != set(some.outcomes):
            missed = set(every.outcomes) ^ set(some.outcomes)
            raise RuntimeError(f"{len(missed)} outcomes of {program!r}, seed {seed}, differ: {missed}")
        count += 1
        every_runs += len(every.outcomes)
        some_runs += len(some.outcomes)
    return count, every_runs, some_runs


def share_of_runs(units: int) -> float:
    """Return how many runs random programs need, as a share of all orders."""
    _, every, some = compared(range(units))
    return some / every


def seconds_a_run(units: int) -> float:
    """Return how long one of many runs takes."""
    begun = perf_counter()
    runs = 0
    while runs < units:
        runs += len(explore(actors(clients=4, servers=2, messages=2), Dpor()).outcomes)
    return (perf_counter() - begun) / runs


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
            reference="random programs",
            compared=Compared.ALONE,
            quantity="share",
            subjects=[Subject(name="random programs", run=share_of_runs, units=500)],
        ),
        Figure(
            name="dpor-speed",
            title="4 clients, 2 servers, 2 messages each",
            unit="run",
            reference="dpor",
            compared=Compared.ALONE,
            subjects=[Subject(name="dpor", run=seconds_a_run, units=3_000)],
        ),
    ]
