"""Small distributed protocols: every message travels in a task of its own, so messages overtake each other."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.bugs.program import bug, step

__all__: list[str] = []


class Network:
    """Mailboxes by name, and messages under way to them."""

    def __init__(self, *names: str) -> None:
        self.mailboxes: dict[str, asyncio.Queue[tuple[Any, ...]]] = {name: asyncio.Queue() for name in names}
        self.under_way: set[asyncio.Task[None]] = set()

    def send(self, target: str, *message: Any) -> None:
        """Let *message* arrive at some time."""
        task = asyncio.ensure_future(self._deliver(target, message))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _deliver(self, target: str, message: tuple[Any, ...]) -> None:
        await step()
        self.mailboxes[target].put_nowait(message)

    async def receive(self, name: str) -> tuple[Any, ...]:
        """Wait for the next message to *name*."""
        return await self.mailboxes[name].get()


@bug("supervisor-restart")
async def supervisor_restart(*, correct: bool = False) -> None:
    """A restarted worker begins with a new mailbox, and what was acknowledged meanwhile lies in the old one."""
    handled: list[int] = []
    acknowledged: list[int] = []
    crashed = asyncio.Event()
    mailbox: asyncio.Queue[int | None] = asyncio.Queue()

    async def worker(box: asyncio.Queue[int | None]) -> None:
        while (item := await box.get()) is not None:
            await step()
            handled.append(item)
        crashed.set()

    async def supervisor() -> asyncio.Task[None]:
        nonlocal mailbox
        running = asyncio.ensure_future(worker(mailbox))
        await crashed.wait()
        await step()
        running.cancel()
        if not correct:
            mailbox = asyncio.Queue()
        return asyncio.ensure_future(worker(mailbox))

    async def client() -> None:
        for item in range(3):
            await step()
            mailbox.put_nowait(item)
            acknowledged.append(item)

    async def crash() -> None:
        for _ in range(8):
            await step()
        mailbox.put_nowait(None)

    second, _, _ = await asyncio.gather(supervisor(), client(), crash())
    crashed.clear()
    mailbox.put_nowait(None)
    await second
    assert handled == acknowledged, f"acknowledged {acknowledged}, handled {handled}"


@bug("two-phase-commit")
async def two_phase_commit(*, correct: bool = False) -> None:
    """The abort goes out after the first "no", and whom it reaches before "prepare" stays prepared for ever."""
    network = Network("coordinator", "a", "b", "c")
    states = dict.fromkeys("abc", "idle")

    async def participant(name: str) -> None:
        for _ in range(2):
            kind, *_ = await network.receive(name)
            await step()
            if kind == "prepare":
                if correct and states[name] == "aborted":
                    continue
                states[name] = "refused" if name == "c" else "prepared"
                network.send("coordinator", "no" if name == "c" else "yes")
            elif correct or states[name] != "idle":
                states[name] = "aborted"

    async def coordinator() -> None:
        for name in states:
            network.send(name, "prepare")
        for _ in states:
            answer, *_ = await network.receive("coordinator")
            if answer == "no":
                break
        for name in states:
            network.send(name, "abort")

    await asyncio.gather(coordinator(), *(participant(name) for name in states))
    assert "prepared" not in states.values(), f"a transaction is still open: {states}"


@bug("raft")
async def raft(*, correct: bool = False) -> None:
    """A voter notes its vote only after it was written to the disk, and meanwhile votes for the other candidate."""
    voters, candidates = ("v1", "v2", "v3"), ("c1", "c2")
    network = Network(*voters, *candidates)
    voted: dict[str, str] = {}
    leaders: list[str] = []

    async def ballot(voter: str, candidate: str) -> None:
        if voter in voted:
            return network.send(candidate, "no")
        if correct:
            voted[voter] = candidate
        await step()  # the disk
        voted[voter] = candidate
        return network.send(candidate, "yes")

    async def voter(name: str) -> None:
        ballots = []
        for _ in candidates:
            [candidate] = await network.receive(name)
            ballots.append(asyncio.ensure_future(ballot(name, candidate)))
        await asyncio.gather(*ballots)

    async def candidate(name: str, after: int) -> None:
        for _ in range(after):
            await step()
        for each in voters:
            network.send(each, name)
        votes = 1
        for _ in voters:
            [answer] = await network.receive(name)
            votes += answer == "yes"
        if votes > (len(voters) + len(candidates)) // 2:
            leaders.append(name)

    await asyncio.gather(*(voter(name) for name in voters), candidate("c1", 0), candidate("c2", 9))
    assert len(leaders) <= 1, f"two leaders in one term: {leaders}"
