"""Figures on servers in processes of their own: a round trip, and how soon a death is seen.

What two processes cost each other depends on which processors they run on. So both sides of a comparison are pinned
alike: this process and the other one to the same processor, which is where a message is soonest there.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from benchmarks.measure import Compared, Figure, Subject
from benchmarks.servers import Echo, in_loop
from supertester.otp import KILL
from supertester.targets import start_os_server

__all__ = ["figures"]

_WARM = 200
"""Round trips before those that count."""
_PATIENCE = 600.0
"""Seconds, so that however busy the machine is, there is a figure."""


@contextmanager
def _one_processor() -> Iterator[None]:
    """Let this process, and what it starts, run on one processor."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def echo(connection: Connection) -> None:
    """Be the other end of the reference, in a process of its own."""
    while (message := connection.recv()) is not None:
        connection.send(message)


def pipe(units: int) -> float:
    with _one_processor():
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=echo, args=(theirs,))
        process.start()
        theirs.close()

        def go(rounds: int) -> None:
            for number in range(rounds):
                ours.send(("echo", number))
                ours.recv()

        go(_WARM)
        begun = perf_counter()
        go(units)
        passed = perf_counter() - begun
        ours.send(None)
        process.join()
        ours.close()
        return passed / units


async def _calls(callers: int, units: int) -> float:
    server = await start_os_server(Echo, timeout=_PATIENCE)

    async def go(rounds: int) -> None:
        for number in range(rounds):
            await server.call(("echo", number), _PATIENCE)

    await go(_WARM)
    share = -(-units // callers)
    begun = perf_counter()
    await asyncio.gather(*(go(share) for _ in range(callers)))
    passed = perf_counter() - begun
    await server.stop()
    return passed / (share * callers)


async def _casts(units: int) -> float:
    server = await start_os_server(Echo, timeout=_PATIENCE)
    begun = perf_counter()
    for number in range(units):
        server.cast(number)
    await server.call("are you there?", _PATIENCE)
    passed = perf_counter() - begun
    await server.stop()
    return passed / units


def sleep(connection: Connection) -> None:
    """Be a process that somebody kills; it has imported the same."""
    connection.send("here")
    signal.pause()


def join(units: int) -> float:
    context = get_context("spawn")
    passed = 0.0
    for _ in range(units):
        ours, theirs = context.Pipe()
        process = context.Process(target=sleep, args=(theirs,))
        process.start()
        ours.recv()
        begun = perf_counter()
        process.kill()
        process.join()
        passed += perf_counter() - begun
        ours.close()
        theirs.close()
    return passed / units


async def _death(kill: Callable[[Any], object], units: int) -> float:
    passed = 0.0
    for _ in range(units):
        server: Any = await start_os_server(Echo, timeout=_PATIENCE)
        seen: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        server.on_exit(lambda _, seen=seen: seen.set_result(perf_counter()))
        begun = perf_counter()
        kill(server)
        passed += await seen - begun
    return passed / units


def _by_signal(server: Any) -> None:
    os.kill(server.os_pid, signal.SIGKILL)


def _by_exit(server: Any) -> None:
    server.exit(KILL)


def _pinned(work: Callable[[int], Any], units: int) -> float:
    with _one_processor():
        return asyncio.run(work(units))  # type: ignore[no-any-return]


def figures() -> list[Figure]:
    pipes = Subject(name="multiprocessing.Pipe", run=pipe, units=5_000)
    joined = Subject(name="Process.kill() and join()", run=join, units=5)
    return [
        Figure(
            name="os-call",
            title="a call to a server in a process of its own",
            unit="round trip",
            subjects=[
                pipes,
                Subject(name="server", run=partial(_pinned, partial(_calls, 1)), units=5_000, goal=1.2),
                Subject(name="server, 100 callers", run=partial(_pinned, partial(_calls, 100)), units=10_000),
                Subject(name="server, casts", run=partial(_pinned, _casts), units=20_000),
            ],
            reference=pipes.name,
        ),
        Figure(
            name="os-kill",
            title="from a signal until the end is known",
            unit="death",
            subjects=[
                joined,
                Subject(name="SIGKILL by another", run=in_loop(partial(_death, _by_signal)), units=5, goal=0.002),
                Subject(name="exit(KILL)", run=in_loop(partial(_death, _by_exit)), units=5, goal=0.002),
            ],
            reference=joined.name,
            compared=Compared.ALONE,
        ),
    ]
