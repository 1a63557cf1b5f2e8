"""The failure detector of P# and Coyote: one bug deep in a long protocol."""

from __future__ import annotations

import asyncio
from collections import Counter

from benchmarks.bugs.program import bug, step

__all__: list[str] = []

NODES = ("n1", "n2")
ROUNDS = 8
ATTEMPTS = 2
MOST_PENDING = 3


class Detector:
    """Pings every node up to twice a round, and holds that no more than three pings of a node are unanswered.

    An answer to the ping of an earlier round is taken for an answer in this one, unless the version is *correct*:
    so each round can leave a ping more unanswered.
    """

    def __init__(self, *, correct: bool) -> None:
        self.correct = correct
        self.mailbox: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue()
        self.nodes: dict[str, asyncio.Queue[int | None]] = {name: asyncio.Queue() for name in NODES}
        self.timers: asyncio.Queue[int | None] = asyncio.Queue()
        self.pending: Counter[str] = Counter()
        self.alive = set(NODES)

    async def node(self, name: str) -> None:
        """Answer pings until told to end."""
        while (number := await self.nodes[name].get()) is not None:
            await step()
            self.pending[name] -= 1
            self.mailbox.put_nowait(("pong", name, number))

    async def timer(self) -> None:
        """Say that the time of an attempt is over; when that is, only the schedule decides."""
        while (number := await self.timers.get()) is not None:
            await step()
            self.mailbox.put_nowait(("timeout", "", number))

    async def ping(self, name: str, number: int) -> None:
        """Ping the node and hold the promise."""
        await step()
        self.pending[name] += 1
        assert self.pending[name] <= MOST_PENDING, f"{self.pending[name]} pings of {name} are unanswered"
        self.nodes[name].put_nowait(number)

    async def attempt(self, number: int, heard: set[str]) -> None:
        """Ping whoever has not been heard, and listen until all were or time is over."""
        for name in sorted(self.alive - heard):
            await self.ping(name, number)
        self.timers.put_nowait(number)
        while heard < self.alive:
            kind, name, of = await self.mailbox.get()
            if kind == "timeout" and of == number:
                return
            if kind == "pong" and (not self.correct or of // ATTEMPTS == number // ATTEMPTS):
                heard.add(name)

    async def rest(self, number: int) -> None:
        """Wait between two rounds; answers that come meanwhile are ignored."""
        self.timers.put_nowait(number)
        while await self.mailbox.get() != ("timeout", "", number):
            pass

    async def watch(self) -> None:
        """Go through the rounds; who was not heard in a round has failed."""
        for round_ in range(ROUNDS):
            heard: set[str] = set()
            for attempt in range(ATTEMPTS):
                if heard < self.alive:
                    await self.attempt(round_ * ATTEMPTS + attempt, heard)
            self.alive &= heard
            await self.rest(-1 - round_)
        for queue in (*self.nodes.values(), self.timers):
            queue.put_nowait(None)


@bug("failure-detector")
async def failure_detector(*, correct: bool = False) -> None:
    """Late answers pass for new ones round after round, until more pings are unanswered than there may be."""
    detector = Detector(correct=correct)
    await asyncio.gather(detector.watch(), detector.timer(), *(detector.node(name) for name in NODES))
