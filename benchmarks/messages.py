"""Figures on messages: calls one at a time, calls of many at once, casts."""

from __future__ import annotations

import asyncio
from time import perf_counter

from benchmarks.beam import Beam
from benchmarks.measure import Figure, Subject
from benchmarks.servers import Actor, async_server, direct_server, in_world, server, textbook

__all__ = ["CALLERS", "call_one_by_one", "call_together", "cast_and_sync", "figures"]

CALLERS = 100


async def call_one_by_one(actor: Actor, units: int) -> float:
    call = actor.call
    begun = perf_counter()
    for number in range(units):
        await call(number)
    return (perf_counter() - begun) / units


async def call_together(actor: Actor, units: int) -> float:
    share = -(-units // CALLERS)

    async def caller() -> None:
        call = actor.call
        for number in range(share):
            await call(number)

    begun = perf_counter()
    await asyncio.gather(*[caller() for _ in range(CALLERS)])
    return (perf_counter() - begun) / (share * CALLERS)


async def cast_and_sync(actor: Actor, units: int) -> float:
    cast = actor.cast
    begun = perf_counter()
    for number in range(units):
        cast(number)
    await actor.call("sync")
    return (perf_counter() - begun) / units


def figures(beam: Beam | None) -> list[Figure]:
    rows = (
        ("call", "a call, one caller", "call", call_one_by_one, 30_000, 1.8, 6.0),
        ("callers", f"a call, {CALLERS} callers", "call", call_together, 60_000, 1.3, None),
        ("cast", "a cast, then one call for all", "cast", cast_and_sync, 60_000, 1.5, None),
    )
    made = []
    for name, title, unit, work, units, goal, direct_goal in rows:
        worlds = (
            ("textbook actor", textbook, None),
            ("server", server, goal),
            ("server, async handlers", async_server, None),
            ("server, direct calls", direct_server, direct_goal),
        )
        subjects = [
            Subject(name=subject, run=in_world(world, work), units=units, goal=aim) for subject, world, aim in worlds
        ]
        if beam is not None:
            subjects.append(beam.subject(name, units=units * 4))
        made.append(Figure(name=name, title=title, unit=unit, subjects=subjects, reference="textbook actor"))
    return made
