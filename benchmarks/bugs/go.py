"""What Go has and asyncio has not: a channel whose sender waits for a receiver, and waiting for one of several."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from benchmarks.bugs.program import step

__all__ = ["Channel", "first_of", "later"]


class Channel:
    """A channel on an `asyncio.Queue`; without *room* the sender waits for a receiver."""

    def __init__(self, room: int = 0) -> None:
        self._room = room
        self._queue: asyncio.Queue[tuple[Any, asyncio.Future[None] | None]] = asyncio.Queue(room)
        self._closed = asyncio.Event()

    async def send(self, value: Any = None) -> None:
        """Send *value*; a channel that was closed refuses, as in Go."""
        await step()
        assert not self._closed.is_set(), "sent on a closed channel"
        taken = None if self._room else asyncio.get_running_loop().create_future()
        await self._queue.put((value, taken))
        if taken is not None:
            await taken

    async def receive(self) -> Any:
        """Return the next value."""
        await step()
        value, taken = await self._queue.get()
        if taken is not None:
            taken.set_result(None)
        return value

    def empty(self) -> bool:
        """Say whether there is nothing to receive yet."""
        return self._queue.empty()

    def close(self) -> None:
        """End the channel; once."""
        assert not self._closed.is_set(), "closed a closed channel"
        self._closed.set()

    async def closed(self) -> None:
        """Wait until it was closed."""
        await self._closed.wait()


async def first_of(*waiting: Coroutine[Any, Any, Any]) -> int:
    """Wait for the first of several and give up the others; return its number. The lowest wins among several."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(number for number, task in enumerate(tasks) if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def later(steps: int) -> None:
    """Come a while later: a timer whose time the schedule decides."""
    for _ in range(steps):
        await step()
