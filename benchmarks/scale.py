"""Figures on growth: the cost of one unit when there is 1, 10 and 100 times the work. Linear means that it stays."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from benchmarks.lives import replaced
from benchmarks.measure import Compared, Figure, Subject
from benchmarks.messages import cast_and_sync
from benchmarks.servers import Echo, in_loop, in_world, server
from supertester.otp import (
    KILL,
    ChildSpec,
    GenServer,
    Pid,
    Runtime,
    Supervisor,
    exit,
    get_tree,
    link,
    until_idle,
    whereis,
    which_children,
)
from supertester.scenarios import Scenario, run_scenario
from supertester.supervision import check_supervision_tree_structure

__all__ = ["figures"]

TOLERABLE = 2.0
"""Times the cost per unit that 100 times the work may bring: for caches and the garbage collector, and for no more."""
RESTARTS = 100


async def children_started(units: int) -> float:
    async with Runtime():
        begun = perf_counter()
        await Supervisor.start_link([ChildSpec(number, Echo) for number in range(units)])
        return (perf_counter() - begun) / units


async def children_stopped(units: int) -> float:
    async with Runtime():
        supervisor = await Supervisor.start_link([ChildSpec(number, Echo) for number in range(units)])
        begun = perf_counter()
        await supervisor.stop()
        return (perf_counter() - begun) / units


async def children_restarted(units: int) -> float:
    """Kill one child, for which the supervisor restarts all."""
    async with Runtime():
        specs = [ChildSpec(number, Echo) for number in range(units)]
        supervisor = await Supervisor.start_link(specs, strategy="one_for_all", max_restarts=10**9)
        victim = (await which_children(supervisor))[units // 2].pid
        begun = perf_counter()
        exit(victim, KILL)
        await until_idle()
        return (perf_counter() - begun) / units


async def child_among(units: int) -> float:
    """Kill one of *units* children, `RESTARTS` times; return the cost of one restart."""
    async with Runtime():
        specs = [ChildSpec(number, Echo, kwargs={"name": f"echo {number}"}) for number in range(units)]
        await Supervisor.start_link(specs, max_restarts=10**9)
        name = f"echo {units // 2}"
        begun = perf_counter()
        for _ in range(RESTARTS):
            pid = whereis(name)
            assert pid is not None
            exit(pid, KILL)
            await replaced(name, pid)
        return (perf_counter() - begun) / RESTARTS


async def processes(units: int) -> float:
    """Start that many, call the last, and kill all."""
    async with Runtime() as runtime:
        begun = perf_counter()
        for _ in range(units):
            pid = await Echo.start()
        await pid.call("are you there?")
        await runtime.close()
        return (perf_counter() - begun) / units


async def memory(units: int) -> float:
    """Return the bytes of one idle process."""
    async with Runtime():
        await Echo.start()
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(units):
                await Echo.start()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (after - before) / units


class Linked(GenServer):
    def init(self, other: Pid | None) -> Any:
        if other is not None:
            link(other)


async def chain(units: int) -> float:
    """Start processes, each linked to the one before, and kill the first: the last dies too."""
    async with Runtime():
        begun = perf_counter()
        first = last = await Linked.start(None)
        for _ in range(units - 1):
            last = await Linked.start(last)
        exit(first, KILL)
        taken = perf_counter() - begun
        if last.is_alive():
            raise RuntimeError(f"{last!r} survived the end of a chain of {units} links")
        return taken / units


async def tree(units: int) -> float:
    """Start a tree, look at all of it, compare its structure, and kill one child."""
    async with Runtime():
        specs = [ChildSpec(number, Echo, kwargs={"name": f"echo {number}"}) for number in range(units)]
        expected = {"children": [(number, Echo) for number in range(units)], "ordered": True}
        name = f"echo {units // 2}"
        begun = perf_counter()
        supervisor = await Supervisor.start_link(specs)
        seen = await get_tree(supervisor)
        mismatch = await check_supervision_tree_structure(supervisor, expected)
        pid = whereis(name)
        assert pid is not None
        exit(pid, KILL)
        await replaced(name, pid)
        taken = perf_counter() - begun
        if mismatch is not None or len(seen.children) != units:
            raise RuntimeError(f"a tree of {units} children has another structure: {mismatch}")
        return taken / units


async def logical_threads(units: int) -> float:
    """Run a scenario of that many logical threads on one server: each makes two calls."""
    async with Runtime():
        limits = {"timeout_ms": 600_000, "call_timeout_ms": 600_000, "max_errors": 0}
        scenario = Scenario(Echo.start_link, [["here", "there"]] * units, **limits)
        begun = perf_counter()
        report = await run_scenario(scenario)
        taken = perf_counter() - begun
        if not report.ok or len(report.events) != 2 * units:
            raise RuntimeError(f"a scenario of {units} threads failed: {report.error}")
        return taken / units


def _growth(
    name: str,
    title: str,
    unit: str,
    run: Callable[[int], float],
    sizes: Sequence[int],
    *,
    repeat: int = 100,
    quantity: str = "seconds",
) -> Figure:
    """Return the figure whose subjects are the same work in several *sizes*; the smallest is done *repeat* times."""
    least = sizes[0]
    subjects = [
        Subject(
            name=f"{size:,}",
            named_by_units=True,
            run=run,
            units=size,
            repeat=max(1, repeat * least // size),
            goal=TOLERABLE if size > least else None,
        )
        for size in sizes
    ]
    return Figure(
        name=f"scale-{name}",
        title=title,
        unit=unit,
        subjects=subjects,
        reference=subjects[0].name,
        compared=Compared.COST,
        quantity=quantity,
    )


def figures() -> list[Figure]:
    few, many = (10, 100, 1_000, 10_000), (1_000, 10_000, 100_000)
    casts = in_world(server, cast_and_sync)
    return [
        _growth("children", "so many children started", "child", in_loop(children_started), few, repeat=1_000),
        _growth("stop", "so many children stopped", "child", in_loop(children_stopped), few, repeat=1_000),
        _growth("all", "so many restarted for one", "child", in_loop(children_restarted), few, repeat=1_000),
        _growth("one", "one restarted among so many", "restart", in_loop(child_among), few, repeat=10),
        _growth("processes", "so many started and killed", "process", in_loop(processes), many),
        _growth("memory", "so many idle processes", "process", in_loop(memory), many, repeat=1, quantity="bytes"),
        _growth("messages", "so many casts, then a call", "message", casts, (10_000, 100_000, 1_000_000)),
        _growth("tree", "a tree of so many", "child", in_loop(tree), few, repeat=100),
        _growth("threads", "a scenario of so many", "thread", in_loop(logical_threads), (10, 1_000, 10_000)),
        _growth("chain", "so many linked, and their end", "process", in_loop(chain), (50, 500, 5_000)),
    ]
