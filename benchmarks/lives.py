"""Figures on processes: starting one, and restarting one that was killed. The BEAM is the reference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.beam import BEAM, Beam
from benchmarks.measure import Figure, Subject
from benchmarks.servers import AsyncEcho, Echo, in_loop
from supertester.otp import KILL, ChildSpec, GenServer, Pid, Runtime, Supervisor, exit, whereis

__all__ = ["figures", "replaced", "restart", "spawn", "spawn_linked"]


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


def figures(beam: Beam | None) -> list[Figure]:
    rows: tuple[tuple[str, str, str, Callable[[type[GenServer], int], Coroutine[Any, Any, float]], int, int], ...] = (
        ("spawn", "a server's start", "start", spawn, 20_000, 1),
        ("spawn-linked", "the same, linked to its starter", "start", spawn_linked, 20_000, 1),
        # Few for each supervisor: on the BEAM a restart was measured to cost more the more there were just before it,
        # 6 µs after 100 and 80 µs after 8,000 on one scheduler. Longer runs would flatter whatever stands beside it.
        ("restart", "killed, restarted, and called", "restart", restart, 100, 20),
    )
    made = []
    for name, title, unit, work, units, repeat in rows:
        subjects = [
            Subject(name=subject, run=in_loop(partial(work, cls)), units=units, repeat=repeat, goal=goal)
            for subject, cls, goal in (
                ("server", Echo, 1.0),
                ("server, async handlers", AsyncEcho, None),
            )
        ]
        if beam is not None:
            subjects.insert(0, beam.subject(name, units=units, repeat=repeat))
        made.append(Figure(name=name, title=title, unit=unit, subjects=subjects, reference=BEAM))
    return made
