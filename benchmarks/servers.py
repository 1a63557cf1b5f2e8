"""The servers that the figures use, and worlds for them to live in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from benchmarks.textbook import Textbook
from supertester.otp import Call, GenServer, Runtime

__all__ = [
    "Actor",
    "AsyncEcho",
    "Echo",
    "World",
    "async_server",
    "direct_server",
    "in_loop",
    "in_world",
    "server",
    "textbook",
]


class Actor(Protocol):
    """What a figure on messages needs."""

    def call(self, request: Any, /) -> Awaitable[Any]: ...

    def cast(self, message: Any, /) -> None: ...


World = Callable[[], AbstractAsyncContextManager[Actor]]
"""Makes an asynchronous context manager around an `Actor`."""


class Echo(GenServer):
    def init(self, state: Any = None) -> Any:
        return state

    def handle_call(self, request: Any, sender: Call) -> Any:
        return request

    def handle_cast(self, message: Any) -> None:
        self.state = message


class AsyncEcho(GenServer):
    async def handle_call(self, request: Any, sender: Call) -> Any:
        return request

    async def handle_cast(self, message: Any) -> None:
        self.state = message


@asynccontextmanager
async def textbook() -> AsyncIterator[Actor]:
    actor = Textbook()
    try:
        yield actor
    finally:
        await actor.stop()


@asynccontextmanager
async def server() -> AsyncIterator[Actor]:
    async with Runtime():
        yield await Echo.start()


@asynccontextmanager
async def async_server() -> AsyncIterator[Actor]:
    async with Runtime():
        yield await AsyncEcho.start()


@asynccontextmanager
async def direct_server() -> AsyncIterator[Actor]:
    async with Runtime(direct_calls=True):
        yield await Echo.start()


def in_loop(work: Callable[[int], Coroutine[Any, Any, float]]) -> Callable[[int], float]:
    """Return what runs *work* in an event loop of its own."""
    return lambda units: asyncio.run(work(units))


def in_world(world: World, work: Callable[[Actor, int], Awaitable[float]]) -> Callable[[int], float]:
    """Return what runs *work* on a fresh actor of *world*."""

    async def main(units: int) -> float:
        async with world() as actor:
            return await work(actor, units)

    return in_loop(main)
