"""Random asyncio programs, in which tasks do to each other whatever asyncio offers."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Hashable
from typing import Any

from supertester.schedule.tracked import Shared, track

__all__ = ["OPERATIONS", "RandomProgram", "random_program"]

Operation = tuple[str, str, int]


async def step() -> None:
    await asyncio.sleep(0)


class Cell(Shared):
    def __init__(self) -> None:
        self.value = "0"


class PlainCell:
    def __init__(self) -> None:
        self.value = "0"


class World:
    """What the tasks of one run share, and what they saw; *plain*: nothing of that says by itself who touches it."""

    def __init__(self, *, plain: bool) -> None:
        self.cells: dict[str, Any] = {name: PlainCell() if plain else Cell() for name in "xy"}
        self.items: list[str] = [] if plain else track([])
        self.locks = {name: asyncio.Lock() for name in "xy"}
        self.events = {name: asyncio.Event() for name in "xy"}
        self.queues = {name: asyncio.Queue[str](1 if name == "x" else 0) for name in "xy"}
        self.room = asyncio.Semaphore(1)
        self.condition = asyncio.Condition()
        self.future = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[None]] = [] if plain else track([])
        self.seen: list[list[Hashable]] = []

    def outcome(self, results: list[Any]) -> Hashable:
        ends = tuple(type(each).__name__ for each in results)
        return ends, tuple(map(tuple, self.seen)), tuple(cell.value for cell in self.cells.values()), tuple(self.items)

    async def read(self, me: int, name: str, number: int) -> None:
        self.seen[me].append(self.cells[name].value)

    async def write(self, me: int, name: str, number: int) -> None:
        self.cells[name].value = f"{me}{number}"

    async def update(self, me: int, name: str, number: int) -> None:
        before = self.cells[name].value
        await step()
        self.cells[name].value = before + str(me)

    async def append(self, me: int, name: str, number: int) -> None:
        self.items.append(f"{me}{number}")
        await step()

    async def lock(self, me: int, name: str, number: int) -> None:
        async with self.locks[name]:
            before = self.cells[name].value
            await step()
            self.cells[name].value = before + str(me)

    async def both_locks(self, me: int, name: str, number: int) -> None:
        async with self.locks[name], self.locks["y" if name == "x" else "x"]:
            self.seen[me].append("both")

    async def put(self, me: int, name: str, number: int) -> None:
        await self.queues[name].put(f"{me}{number}")

    async def get(self, me: int, name: str, number: int) -> None:
        self.seen[me].append(await self.queues[name].get())

    async def look(self, me: int, name: str, number: int) -> None:
        self.seen[me].append(self.queues[name].empty() and not self.events[name].is_set())

    async def set(self, me: int, name: str, number: int) -> None:
        self.events[name].set()
        await step()

    async def clear(self, me: int, name: str, number: int) -> None:
        self.events[name].clear()

    async def wait(self, me: int, name: str, number: int) -> None:
        await self.events[name].wait()
        self.seen[me].append(self.cells[name].value)

    async def enter(self, me: int, name: str, number: int) -> None:
        async with self.room:
            self.items.append(f"{me}in")
            await step()

    async def notify(self, me: int, name: str, number: int) -> None:
        async with self.condition:
            self.cells[name].value += "n"
            self.condition.notify()

    async def until(self, me: int, name: str, number: int) -> None:
        async with self.condition:
            await self.condition.wait()
            self.seen[me].append(self.cells[name].value)

    async def sleep(self, me: int, name: str, number: int) -> None:
        await asyncio.sleep(0.1 if name == "x" else 0.2)
        self.cells[name].value += f"t{me}"

    async def timeout(self, me: int, name: str, number: int) -> None:
        try:
            await asyncio.wait_for(self.events[name].wait(), 0.1)
            self.seen[me].append("set")
        except TimeoutError:
            self.seen[me].append("late")

    async def deadline(self, me: int, name: str, number: int) -> None:
        try:
            async with asyncio.timeout(0.1):
                await asyncio.sleep(0.1)
            self.seen[me].append("done")
        except TimeoutError:
            self.seen[me].append("late")

    async def cancel(self, me: int, name: str, number: int) -> None:
        victim = self.tasks[number % len(self.tasks)]
        if victim is not asyncio.current_task():
            self.seen[me].append(victim.cancel())

    async def done(self, me: int, name: str, number: int) -> None:
        self.seen[me].append(self.tasks[number % len(self.tasks)].done())

    async def child(self, me: int, name: str, number: int) -> None:
        child = asyncio.create_task(self.update(me, name, number))
        await step()
        await child

    async def forget(self, me: int, name: str, number: int) -> None:
        self.tasks.append(asyncio.create_task(self.update(me, name, number)))

    async def group(self, me: int, name: str, number: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.update(me, name, number))
            group.create_task(self.read(me, name, number))

    async def first(self, me: int, name: str, number: int) -> None:
        tasks = [asyncio.create_task(self.update(me, each, number)) for each in "xy"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self.seen[me].append(tuple(task in done for task in tasks))

    async def resolve(self, me: int, name: str, number: int) -> None:
        if not self.future.done():
            self.future.set_result(f"{me}{number}")

    async def result_of_future(self, me: int, name: str, number: int) -> None:
        self.seen[me].append(await asyncio.shield(self.future))

    async def soon(self, me: int, name: str, number: int) -> None:
        cell = self.cells[name]
        handle = asyncio.get_running_loop().call_soon(setattr, cell, "value", f"s{me}")
        if number % 2:
            await step()
            handle.cancel()

    async def fail(self, me: int, name: str, number: int) -> None:
        if self.cells[name].value != "0":
            raise LookupError(name)

    async def fault(self, me: int, name: str, number: int) -> None:
        def happen() -> None:
            self.cells[name].value += f"f{me}"
            if number == 1:
                self.events[name].set()

        loop: Any = asyncio.get_running_loop()
        lane = loop.offer_fault(f"fault of {me}", happen, (me, name, number, len(self.seen[me])), kind="drop")
        self.seen[me].append("offered")
        if number == 2:
            await step()
            lane.withdraw()


OPERATIONS = [name for name, value in vars(World).items() if inspect.iscoroutinefunction(value)]


class RandomProgram:
    """A task for each of *scripts*; *strict*: the first failure of a task is that of the program."""

    def __init__(self, scripts: list[list[Operation]], *, strict: bool, plain: bool = False) -> None:
        self.plain = plain
        self.scripts = scripts
        self.strict = strict
        self.world: World | None = None

    def __repr__(self) -> str:
        return f"RandomProgram({self.scripts}, strict={self.strict})"

    async def __call__(self) -> Hashable:
        world = self.world = World(plain=self.plain)
        world.seen = [[] for _ in self.scripts]
        tasks = [asyncio.create_task(self.run(world, me, script)) for me, script in enumerate(self.scripts)]
        world.tasks.extend(tasks)
        return world.outcome(await asyncio.gather(*tasks, return_exceptions=not self.strict))

    async def run(self, world: World, me: int, script: list[Operation]) -> None:
        for name, where, number in script:
            await getattr(world, name)(me, where, number)

    def left(self) -> Hashable:
        """What the run left behind."""
        return None if self.world is None else self.world.outcome([])


def random_program(seed: int, *, operations: list[str] | None = None, plain: bool = False) -> RandomProgram:
    """Return the program of this *seed*: two or three tasks of up to three operations, on *plain* or tracked state."""
    rng = random.Random(seed)
    names = operations or OPERATIONS
    palette = rng.sample(names, min(len(names), 4))
    sizes = rng.choice([(1, 1), (2, 1), (2, 2), (3, 2), (1, 1, 1), (2, 1, 1)])
    scripts: list[list[Operation]] = [
        [(rng.choice(palette), rng.choice("xxy"), rng.randrange(3)) for _ in range(size)] for size in sizes
    ]
    return RandomProgram(scripts, strict=rng.random() < 0.3, plain=plain)
