"""What can be wrong with a network: the eight toxics of Toxiproxy, partitions, and corrupted bytes.

A toxic acts on links: directions of connections. For each link chance decides once whether it does (``toxicity``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from supertester.chaos.network.connection import Link, Piece, Send

__all__ = [
    "Bandwidth",
    "Corrupt",
    "Down",
    "Latency",
    "LimitData",
    "Partition",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
    "Toxic",
]

_SLICE_SECONDS: Final = 0.05
"""How much of a second the pieces last that a limited bandwidth carries."""


class Toxic:
    """Something that is wrong with a proxy, until it is removed: by hand, at the end of a ``with`` block, or with it.

    Attributes:
        name: What it is, e.g. ``"latency"``.
        direction: ``"upstream"``, ``"downstream"`` or ``"both"``.
        toxicity: The share of the links that it acts on.
        hits: How many links it has been put on.
    """

    name = "toxic"

    def __init__(self) -> None:
        self.direction = "both"
        self.toxicity = 1.0
        self.hits = 0
        self.random = random.Random(0)
        self._removed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def removed(self) -> bool:
        """Whether it no longer acts."""
        return self._removed.is_set()

    def remove(self) -> None:
        """Let it act no longer, also on what it holds back just now."""
        self._removed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def begin(self, link: Link) -> None:
        """Be put on *link*."""

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        """Do with *piece* what the toxic does, and *send* on what is left of it."""
        await send(piece)

    async def closing(self, link: Link) -> None:
        """Hold back the end of what *link* carries."""

    async def pause(self, seconds: float | None) -> None:
        """Wait for so many seconds, or for ever, but no longer than the toxic is there."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._removed.wait(), seconds)

    def _later(self, link: Link, seconds: float, reset: bool) -> None:  # noqa: FBT001
        """Break off the connection of *link* after so many seconds, unless the toxic has been removed."""

        async def end() -> None:
            await self.pause(seconds)
            if not self.removed:
                (link.connection.reset if reset else link.connection.break_off)()

        self._spawn(end())

    def _spawn(self, step: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(step)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        self.remove()
        await asyncio.gather(*self._tasks)

    def __repr__(self) -> str:
        state = "removed" if self.removed else "on"
        return f"<{self.name} {self.direction}, {state}>"


class Latency(Toxic):
    """All arrives late."""

    name = "latency"

    def __init__(self, seconds: float, jitter: float) -> None:
        super().__init__()
        self._seconds, self._jitter = seconds, jitter

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        delay = self._seconds + self.random.uniform(-self._jitter, self._jitter)
        left = piece.arrived + delay - asyncio.get_running_loop().time()
        if left > 0:
            await self.pause(left)
        await send(piece)


class Bandwidth(Toxic):
    """Only so many bytes pass in a second."""

    name = "bandwidth"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        size = max(int(self._rate * _SLICE_SECONDS), 1)
        for start in range(0, len(piece.data), size):
            part = piece.data[start : start + size]
            await self.pause(len(part) / self._rate)
            await send(Piece(part, piece.arrived))


class SlowClose(Toxic):
    """The end arrives late."""

    name = "slow_close"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def closing(self, link: Link) -> None:
        await self.pause(self._seconds)


class Timeout(Toxic):
    """Nothing arrives, and after a while the connection is closed."""

    name = "timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def begin(self, link: Link) -> None:
        if self._seconds:
            self._later(link, self._seconds, reset=False)

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        pass  # It is lost.

    async def closing(self, link: Link) -> None:
        await self.pause(None)


class ResetPeer(Toxic):
    """The connection is reset."""

    name = "reset_peer"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def begin(self, link: Link) -> None:
        self._later(link, self._seconds, reset=True)


class Slicer(Toxic):
    """Data arrives in small pieces."""

    name = "slicer"

    def __init__(self, size: int, variation: int, seconds: float) -> None:
        super().__init__()
        self._size, self._variation, self._seconds = size, variation, seconds

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        start = 0
        while start < len(piece.data):
            if start and self._seconds:
                await self.pause(self._seconds)
            size = self._size + self.random.randint(-self._variation, self._variation)
            if self.removed:
                size = len(piece.data)
            await send(Piece(piece.data[start : start + size], piece.arrived))
            start += size


class LimitData(Toxic):
    """After so many bytes the connection is closed."""

    name = "limit_data"

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._left: dict[Link, int] = {}

    def begin(self, link: Link) -> None:
        self._left[link] = self._size

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        left = self._left[link]
        part = piece.data[:left]
        self._left[link] = left - len(part)
        if part:
            await send(Piece(part, piece.arrived))
        if not self._left[link]:
            link.connection.break_off()
            await self.pause(None)


class Down(Toxic):
    """Nobody can connect, and nobody is connected."""

    name = "down"

    def begin(self, link: Link) -> None:
        link.connection.reset()


class Partition(Toxic):
    """Nothing arrives as long as it lasts; then all does, as TCP sends again what was lost."""

    name = "partition"

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        await self.pause(None)
        await send(piece)

    async def closing(self, link: Link) -> None:
        await self.pause(None)


class Corrupt(Toxic):
    """Some bytes arrive as others."""

    name = "corrupt"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    async def act(self, piece: Piece, link: Link, send: Send) -> None:
        data = bytearray(piece.data)
        for index in range(len(data)):
            if self.random.random() < self._rate:
                data[index] ^= self.random.randint(1, 255)
        await send(Piece(bytes(data), piece.arrived))
