"""The work-stealing queue of CHESS: the owner works at the tail without a lock, thieves at the head."""

from __future__ import annotations

import asyncio
from collections import Counter

from benchmarks.bugs.program import bug, step

__all__: list[str] = []


class WorkStealingQueue:
    """A ring of four slots. One of them must stay free, because a thief moves the head before it reads.

    The version that is not *correct* fills that slot too.
    """

    MASK = 3

    def __init__(self, *, correct: bool) -> None:
        self.head = 0
        self.tail = 0
        self.slots: list[int | None] = [None] * (self.MASK + 1)
        self.spare = 0 if correct else 1
        self.foreign = asyncio.Lock()

    async def push(self, item: int) -> bool:
        """Put *item* at the tail; ``False`` if there is no room."""
        await step()
        tail = self.tail
        await step()
        if tail >= self.head + self.MASK + self.spare:
            return False
        await step()
        self.slots[tail & self.MASK] = item
        await step()
        self.tail = tail + 1
        return True

    async def pop(self) -> int | None:
        """Take from the tail; without the lock while there is more than a thief may be at."""
        await step()
        tail = self.tail = self.tail - 1
        await step()
        if self.head <= tail:
            await step()
            return self.slots[tail & self.MASK]
        await step()
        self.tail = tail + 1
        return await self._pop_alone()

    async def _pop_alone(self) -> int | None:
        async with self.foreign:
            await step()
            tail = self.tail = self.tail - 1
            await step()
            if self.head <= tail:
                await step()
                return self.slots[tail & self.MASK]
            await step()
            self.tail = tail + 1
            return None

    async def steal(self) -> int | None:
        """Take from the head: claim it, look whether it was there, give it back if not."""
        async with self.foreign:
            await step()
            head = self.head
            await step()
            self.head = head + 1
            await step()
            if head < self.tail:
                await step()
                return self.slots[head & self.MASK]
            await step()
            self.head = head
            return None


@bug("work-stealing")
async def work_stealing(*, correct: bool = False) -> None:
    """A push overwrites the slot whose item a thief has claimed and not yet read."""
    queue = WorkStealingQueue(correct=correct)
    taken: Counter[int | None] = Counter()

    async def owner() -> None:
        for item in range(6):
            if not await queue.push(item):
                taken[item] += 1
            if item % 3 == 2:
                taken[await queue.pop()] += 1

    async def thief() -> None:
        for _ in range(2):
            taken[await queue.steal()] += 1

    await asyncio.gather(owner(), thief())
    while (item := await queue.pop()) is not None:
        taken[item] += 1
    del taken[None]
    assert taken == Counter(range(6)), f"taken: {sorted(taken.elements(), key=str)}"
