"""Figures on processes: starting one, and restarting one that was killed. The BEAM is the reference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.beam import BEAM, Beam
from benchmarks.measure import Figure, Subject
from benchmarks.servers import AsyncEcho, Echo, in_loop
from supertester.otp import KILL, ChildSpec, GenServer, Pid, Runtime, Supervisor, exit, whereis

__all__ = ["figures", "replaced", "restart", "spawn", "spawn_linked", "turn"]


async def spawn(cls: type[GenServer], units: int) -> float:
    async with Runtime():
        begun = perf_counter()
        for _ in range(units):
            pid = await cls.start()
        await pid.call("are you there?")
        return (perf_counter() - begun) / units


async def spawn_linked(cls: type[GenServer], units: int) -> float:
    async with Runtime() as runtime:
        token = runtime.activate(runtime.new_root())
        try:
            begun = perf_counter()
            for _ in range(units):
                pid = await cls.start_link()
            await pid.call("are you there?")
            return (perf_counter() - begun) / units
        finally:
            runtime.deactivate(token)


async def replaced(name: str, old: Pid) -> Pid:
    """Let others run until *name* belongs to a successor of *old*."""
    while True:
        pid = whereis(name)
        if pid is not None and pid is not old:
            return pid
        await asyncio.sleep(0)


async def restart(cls: type[GenServer], units: int) -> float:
    async with Runtime():
        await Supervisor.start_link([ChildSpec("echo", cls, kwargs={"name": "echo"})], max_restarts=10**9)
        begun = perf_counter()
        for _ in range(units):
            pid = whereis("echo")
            assert pid is not None
            exit(pid, KILL)
            await (await replaced("echo", pid)).call("are you there?")
        return (perf_counter() - begun) / units


async def turn(units: int) -> float:
    begun = perf_counter()
    for _ in range(units):
        await asyncio.sleep(0)
    return (perf_counter() - begun) / units


@dataclass(frozen=True)
class Row:
    """A figure to be: what is done, how many times in a row, how many such runs are a sample, and the BEAM's name."""

    name: str
    title: str
    unit: str
    work: Callable[[type[GenServer], int], Coroutine[Any, Any, float]]
    units: int
    repeat: int
    beam: str
    floor: Sequence[Subject] = ()


def figures(beam: Beam | None) -> list[Figure]:
    # On the BEAM a restart was measured to cost more the more there were just before it: its supervisor keeps a list of
    # them and walks it each time. So how many are made in a row is part of the figure, and the same for both sides.
    rows = (
        Row("spawn", "a server's start", "start", spawn, 20_000, 1, "spawn"),
        Row("spawn-linked", "the same, linked to its starter", "start", spawn_linked, 20_000, 1, "spawn-linked"),
        Row(
            "restart",
            "killed, restarted, and called, 100 times in a row",
            "restart",
            restart,
            100,
            20,
            "restart",
            # The one in which the supervisor gets to know of the death.
            [Subject(name="a turn of an asyncio loop", run=in_loop(turn), units=100, repeat=20)],
        ),
        Row("restart-many", "the same, 1,000 times in a row", "restart", restart, 1_000, 2, "restart"),
    )
    made = []
    for row in rows:
        subjects = [
            Subject(name=subject, run=in_loop(partial(row.work, cls)), units=row.units, repeat=row.repeat, goal=goal)
            for subject, cls, goal in (("server", Echo, 1.0), ("server, async handlers", AsyncEcho, None))
        ]
        if beam is not None:
            subjects.insert(0, beam.subject(row.beam, units=row.units, repeat=row.repeat))
        subjects.extend(row.floor)
        made.append(Figure(name=row.name, title=row.title, unit=row.unit, subjects=subjects, reference=BEAM))
    return made
