"""Deadlocks of locks that are taken in different orders."""

from __future__ import annotations

import asyncio

from benchmarks.bugs.program import add, bug, step

__all__: list[str] = []


@bug("ab-ba")
async def ab_ba(*, correct: bool = False) -> None:
    """Two transfers lock the same two accounts in opposite orders, one of them a little later."""
    a, b = asyncio.Lock(), asyncio.Lock()

    async def transfer(first: asyncio.Lock, second: asyncio.Lock, after: int) -> None:
        for _ in range(after):
            await step()
        async with first:
            await step()
            async with second:
                await step()

    await asyncio.gather(transfer(a, b, 0), transfer(a, b, 6) if correct else transfer(b, a, 6))


async def philosophers(*, number: int, correct: bool = False) -> None:
    """Philosophers take the left fork, pause, and take the right one; each comes when the one before has eaten."""
    forks = [asyncio.Lock() for _ in range(number)]

    async def philosopher(seat: int) -> None:
        for _ in range(3 * seat):
            await step()
        left, right = seat, (seat + 1) % number
        if correct and left > right:
            left, right = right, left
        async with forks[left]:
            await step()
            async with forks[right]:
                await step()

    await asyncio.gather(*(philosopher(seat) for seat in range(number)))


add("philosophers-3", philosophers, number=3)
add("philosophers-5", philosophers, number=5)


@bug("carter01")
async def carter01(*, correct: bool = False) -> None:
    """The first of a class of tasks takes a lock for the whole class while it holds the lock of the count."""
    inside = {"A": 0, "B": 0}
    count, room = asyncio.Lock(), asyncio.Lock()
    counts = {"A": count, "B": asyncio.Lock() if correct else count}

    async def member(group: str, after: int) -> None:
        for _ in range(after):
            await step()
        async with counts[group]:
            inside[group] += 1
            if inside[group] == 1:
                await step()
                await room.acquire()
        await step()
        async with counts[group]:
            inside[group] -= 1
            if inside[group] == 0:
                await step()
                room.release()

    await asyncio.gather(member("A", 0), member("B", 8))
