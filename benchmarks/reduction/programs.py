"""Correct programs of which it is known how many runs they need."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from benchmarks.reduction.explored import Program
from supertester.schedule.tracked import Shared

__all__ = ["Actor", "Number", "actors", "casts", "counter", "independent", "philosophers"]


class Number(Shared):
    def __init__(self) -> None:
        self.value = 0


class Actor:
    """Handles what is put into its mailbox, one message a step."""

    schedule_lane = "process"

    def __init__(self) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self.loop.lane_of(self)  # Made here, so that its name does not depend on who sends first.
        self.handled: list[Hashable] = []

    def put(self, message: Hashable) -> None:
        self.loop.call_soon(self.handle, message)

    def handle(self, message: Hashable) -> None:
        self.handled.append(message)


def actors(*, clients: int, servers: int, messages: int) -> Program:
    """Clients that put messages into the mailboxes of servers, each into that of one."""

    async def client(number: int, server: Actor) -> None:
        for message in range(messages):
            server.put((number, message))
            await asyncio.sleep(0)

    async def main() -> Hashable:
        made = [Actor() for _ in range(servers)]
        await asyncio.gather(*(client(number, made[number % servers]) for number in range(clients)))
        await asyncio.sleep(1)
        return tuple(tuple(each.handled) for each in made)

    return main


def casts(clients: int) -> Program:
    """The same with one server and an `asyncio.Queue`, whose `get` can tell whether something is there."""

    async def main() -> Hashable:
        queue: asyncio.Queue[int] = asyncio.Queue()
        handled = []

        async def server() -> None:
            for _ in range(clients):
                handled.append(await queue.get())  # noqa: PERF401

        async def client(number: int) -> None:
            queue.put_nowait(number)

        await asyncio.gather(server(), *(client(number) for number in range(clients)))
        return tuple(handled)

    return main


def counter(workers: int, *, locked: bool = True) -> Program:
    """Workers that count to the same number, which takes each of them two steps."""

    async def main() -> Hashable:
        number, lock = Number(), asyncio.Lock()

        async def count() -> None:
            before = number.value
            await asyncio.sleep(0)
            number.value = before + 1

        async def worker() -> None:
            if locked:
                async with lock:
                    await count()
            else:
                await count()

        await asyncio.gather(*(worker() for _ in range(workers)))
        return number.value

    return main


def independent(workers: int) -> Program:
    """Workers that have nothing in common."""

    async def worker() -> None:
        number = Number()
        for _ in range(2):
            number.value += 1
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(worker() for _ in range(workers)))

    return main


def philosophers(count: int, *, ordered: bool = True) -> Program:
    """Philosophers who take their forks in the order of their numbers, or else as they sit."""

    async def main() -> None:
        forks = [asyncio.Lock() for _ in range(count)]

        async def philosopher(number: int) -> None:
            pair = (number, (number + 1) % count)
            first, second = sorted(pair) if ordered else pair
            async with forks[first]:
                await asyncio.sleep(0)
                async with forks[second]:
                    await asyncio.sleep(0)

        await asyncio.gather(*(philosopher(number) for number in range(count)))

    return main
