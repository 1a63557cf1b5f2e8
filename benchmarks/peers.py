"""Other libraries as further subjects of the figures. What is not installed is left out."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from benchmarks import load
from benchmarks.cases import run_cases
from benchmarks.measure import Figure, Subject
from benchmarks.messages import CALLERS
from benchmarks.sleeps import sleeping

__all__ = ["with_peers"]


def _pykka(work: Callable[[Any, int], int]) -> Callable[[int], float]:
    def run(units: int) -> float:
        import pykka

        class Echo(pykka.ThreadingActor):
            def on_receive(self, message: Any) -> Any:
                return message

        actor = Echo.start()
        try:
            begun = perf_counter()
            done = work(actor, units)
            return (perf_counter() - begun) / done
        finally:
            actor.stop()

    return run


def _asks(actor: Any, units: int) -> int:
    for number in range(units):
        actor.ask(number)
    return units


def _asks_together(actor: Any, units: int) -> int:
    share = -(-units // CALLERS)
    with ThreadPoolExecutor(CALLERS) as pool:
        for each in [pool.submit(_asks, actor, share) for _ in range(CALLERS)]:
            each.result()
    return share * CALLERS


def _tells(actor: Any, units: int) -> int:
    for number in range(units):
        actor.tell(number)
    actor.ask("sync")
    return units


def _pyleak_async(units: int) -> float:
    from pyleak import no_task_leaks

    class Case(unittest.IsolatedAsyncioTestCase):
        @no_task_leaks(action="raise")
        async def test(self) -> None: ...

    return run_cases(Case, units)


def _pyleak_sync(units: int) -> float:
    from pyleak import no_thread_leaks

    class Case(unittest.TestCase):
        @no_thread_leaks(action="raise")
        def test(self) -> None: ...

    return run_cases(Case, units)


def _solipsism(units: int) -> float:
    from async_solipsism import EventLoop

    return sleeping(EventLoop)(units)


_PEERS = (
    ("pykka", "call", Subject(name="pykka (threads)", run=_pykka(_asks), units=3_000)),
    ("pykka", "callers", Subject(name="pykka (threads)", run=_pykka(_asks_together), units=3_000)),
    ("pykka", "cast", Subject(name="pykka (threads)", run=_pykka(_tells), units=20_000)),
    ("locust", "load", Subject(name="locust", run=load.locust, units=1)),
    ("molotov", "load", Subject(name="molotov", run=load.molotov, units=1)),
    ("pyleak", "async-case", Subject(name="IsolatedAsyncioTestCase and pyleak (tasks)", run=_pyleak_async, units=10)),
    ("async_solipsism", "virtual-sleep", Subject(name="async-solipsism", run=_solipsism, units=1_000, repeat=10)),
    ("pyleak", "sync-case", Subject(name="TestCase and pyleak (threads)", run=_pyleak_sync, units=5)),
)


def with_peers(figures: Iterable[Figure]) -> list[Figure]:
    """Return *figures* with a subject more for each library that is installed."""
    installed = {module for module, *_ in _PEERS if find_spec(module) is not None}
    return [
        replace(
            figure,
            subjects=[
                *figure.subjects,
                *(subject for module, name, subject in _PEERS if name == figure.name and module in installed),
            ],
        )
        for figure in figures
    ]
