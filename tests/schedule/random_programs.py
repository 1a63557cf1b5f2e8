"""Random asyncio programs, and everything that they can come to."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

from supertester.schedule.access_loop import loop_for
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.tracked import Shared, track

__all__ = ["Explored", "Program", "explore", "random_program"]

Program = Callable[[], Coroutine[Any, Any, Hashable]]
Operation = tuple[str, str, int]


@dataclass(frozen=True)
class Explored:
    """All runs of a program under one strategy: what each came to."""

    outcomes: list[Hashable]
    strategy: Strategy


class TooMany(Exception):
    """There are more runs than anybody wanted."""


def explore(program: Program, strategy: Strategy, *, limit: int = 100_000) -> Explored:
    """Run *program* until *strategy* has nothing left."""
    outcomes: list[Hashable] = []
    while strategy.begin(random.Random(0), len(outcomes)):
        if len(outcomes) == limit:
            raise TooMany(f"more than {limit} runs")
        outcomes.append(_outcome(program, loop_for(strategy)))
        strategy.end(None)
    return Explored(outcomes, strategy)


def _outcome(program: Program, loop: Any) -> Hashable:
    try:
        outcome: Hashable = loop.run_until_complete(program())
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 that is one of its outcomes
        outcome = type(error).__name__
    left = program.left() if isinstance(program, RandomProgram) else None
    for task in loop.tasks:
        if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:
            task.get_coro().close()  # Or it is reported as never awaited.
    loop.close()
    return outcome, left


class Cell(Shared):
    def __init__(self) -> None:
        self.value = "0"


class World:
    """What the tasks of one run share, and what they saw."""

    def __init__(self) -> None:
        self.cells = {name: Cell() for name in "xy"}
        self.items: list[str] = track([])
        self.locks = {name: asyncio.Lock() for name in "xy"}
        self.events = {name: asyncio.Event() for name in "xy"}
        self.queues = {name: asyncio.Queue[str](1 if name == "x" else 0) for name in "xy"}
        self.room = asyncio.Semaphore(1)
        self.condition = asyncio.Condition()
        self.future = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[None]] = track([])
        self.seen: list[list[Hashable]] = []

    def outcome(self, results: list[Any]) -> Hashable:
        ends = tuple(type(each).__name__ for each in results)
        return ends, tuple(map(tuple, self.seen)), tuple(cell.value for cell in self.cells.values()), tuple(self.items)


async def step() -> None:
    await asyncio.sleep(0)


async def op_read(world: World, me: int, name: str, number: int) -> None:
    world.seen[me].append(world.cells[name].value)


async def op_write(world: World, me: int, name: str, number: int) -> None:
    world.cells[name].value = f"{me}{number}"


async def op_update(world: World, me: int, name: str, number: int) -> None:
    before = world.cells[name].value
    await step()
    world.cells[name].value = before + str(me)


async def op_append(world: World, me: int, name: str, number: int) -> None:
    world.items.append(f"{me}{number}")
    await step()


async def op_lock(world: World, me: int, name: str, number: int) -> None:
    async with world.locks[name]:
        before = world.cells[name].value
        await step()
        world.cells[name].value = before + str(me)


async def op_locks(world: World, me: int, name: str, number: int) -> None:
    async with world.locks[name], world.locks["y" if name == "x" else "x"]:
        world.seen[me].append("both")


async def op_put(world: World, me: int, name: str, number: int) -> None:
    await world.queues[name].put(f"{me}{number}")


async def op_get(world: World, me: int, name: str, number: int) -> None:
    world.seen[me].append(await world.queues[name].get())


async def op_look(world: World, me: int, name: str, number: int) -> None:
    world.seen[me].append(world.queues[name].empty() and not world.events[name].is_set())


async def op_set(world: World, me: int, name: str, number: int) -> None:
    world.events[name].set()
    await step()


async def op_clear(world: World, me: int, name: str, number: int) -> None:
    world.events[name].clear()


async def op_wait(world: World, me: int, name: str, number: int) -> None:
    await world.events[name].wait()
    world.seen[me].append(world.cells[name].value)


async def op_room(world: World, me: int, name: str, number: int) -> None:
    async with world.room:
        world.items.append(f"{me}in")
        await step()


async def op_notify(world: World, me: int, name: str, number: int) -> None:
    async with world.condition:
        world.cells[name].value += "n"
        world.condition.notify()


async def op_until(world: World, me: int, name: str, number: int) -> None:
    async with world.condition:
        await world.condition.wait()
        world.seen[me].append(world.cells[name].value)


async def op_sleep(world: World, me: int, name: str, number: int) -> None:
    await asyncio.sleep(0.1 if name == "x" else 0.2)
    world.cells[name].value += f"t{me}"


async def op_timeout(world: World, me: int, name: str, number: int) -> None:
    try:
        await asyncio.wait_for(world.events[name].wait(), 0.1)
        world.seen[me].append("set")
    except TimeoutError:
        world.seen[me].append("late")


async def op_deadline(world: World, me: int, name: str, number: int) -> None:
    try:
        async with asyncio.timeout(0.1):
            await asyncio.sleep(0.1)
        world.seen[me].append("done")
    except TimeoutError:
        world.seen[me].append("late")


async def op_cancel(world: World, me: int, name: str, number: int) -> None:
    victim = world.tasks[number % len(world.tasks)]
    if victim is not asyncio.current_task():
        world.seen[me].append(victim.cancel())


async def op_done(world: World, me: int, name: str, number: int) -> None:
    world.seen[me].append(world.tasks[number % len(world.tasks)].done())


async def op_child(world: World, me: int, name: str, number: int) -> None:
    child = asyncio.create_task(op_update(world, me, name, number))
    await step()
    await child


async def op_forget(world: World, me: int, name: str, number: int) -> None:
    world.tasks.append(asyncio.create_task(op_update(world, me, name, number)))


async def op_group(world: World, me: int, name: str, number: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(op_update(world, me, name, number))
        group.create_task(op_read(world, me, name, number))


async def op_first(world: World, me: int, name: str, number: int) -> None:
    tasks = [asyncio.create_task(op_update(world, me, each, number)) for each in "xy"]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    world.seen[me].append(tuple(task in done for task in tasks))


async def op_resolve(world: World, me: int, name: str, number: int) -> None:
    if not world.future.done():
        world.future.set_result(f"{me}{number}")


async def op_future(world: World, me: int, name: str, number: int) -> None:
    world.seen[me].append(await asyncio.shield(world.future))


async def op_soon(world: World, me: int, name: str, number: int) -> None:
    cell = world.cells[name]
    handle = asyncio.get_running_loop().call_soon(setattr, cell, "value", f"s{me}")
    if number % 2:
        await step()
        handle.cancel()


async def op_fail(world: World, me: int, name: str, number: int) -> None:
    if world.cells[name].value != "0":
        raise LookupError(name)


OPERATIONS = {name.removeprefix("op_"): value for name, value in list(globals().items()) if name.startswith("op_")}


class RandomProgram:
    """A task for each of *scripts*; *strict*: the first failure of a task is that of the program."""

    def __init__(self, scripts: list[list[Operation]], *, strict: bool) -> None:
        self.scripts = scripts
        self.strict = strict
        self.world: World | None = None

    def __repr__(self) -> str:
        return f"RandomProgram({self.scripts}, strict={self.strict})"

    async def __call__(self) -> Hashable:
        world = self.world = World()
        world.seen = [[] for _ in self.scripts]
        tasks = [asyncio.create_task(self.run(world, me, script)) for me, script in enumerate(self.scripts)]
        world.tasks.extend(tasks)
        return world.outcome(await asyncio.gather(*tasks, return_exceptions=not self.strict))

    async def run(self, world: World, me: int, script: list[Operation]) -> None:
        for name, where, number in script:
            await OPERATIONS[name](world, me, where, number)

    def left(self) -> Hashable:
        """What the run left behind."""
        return None if self.world is None else self.world.outcome([])


def random_program(seed: int, *, operations: list[str] | None = None) -> RandomProgram:
    """Return the program of this *seed*: two or three tasks of up to three operations."""
    rng = random.Random(seed)
    names = operations or list(OPERATIONS)
    palette = rng.sample(names, min(len(names), 4))
    sizes = rng.choice([(1, 1), (2, 1), (2, 2), (3, 2), (1, 1, 1), (2, 1, 1)])
    scripts: list[list[Operation]] = [
        [(rng.choice(palette), rng.choice("xxy"), rng.randrange(3)) for _ in range(size)] for size in sizes
    ]
    return RandomProgram(scripts, strict=rng.random() < 0.3)
