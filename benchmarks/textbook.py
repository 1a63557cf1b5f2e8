"""The textbook actor: what one writes on an afternoon with ``asyncio.Queue`` and a future per call.

It is the reference of the figures on messages. It promises far less than a process of the runtime: no timeout, no reply
when the server dies, no exit reasons, links or monitors, and its handlers must not await.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Textbook"]


class Textbook:
    """An actor that echoes calls and keeps the last cast."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[Any, asyncio.Future[Any] | None]] = asyncio.Queue()
        self.state: Any = None
        self.task = asyncio.get_running_loop().create_task(self.run())

    def handle_call(self, request: Any, sender: asyncio.Future[Any]) -> Any:
        return request

    def handle_cast(self, message: Any) -> None:
        self.state = message

    async def run(self) -> None:
        while True:
            message, sender = await self.queue.get()
            if sender is None:
                self.handle_cast(message)
            else:
                reply = self.handle_call(message, sender)
                if not sender.done():
                    sender.set_result(reply)

    async def call(self, request: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((request, future))
        return await future

    def cast(self, message: Any) -> None:
        self.queue.put_nowait((message, None))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
