"""Mistakes of programs made of processes: what arrives late, after the end, or in another order than it was sent.

Each runs on the embedded runtime, whose deliveries, turns, links, monitors and timers are steps of the schedule.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.bugs.program import bug, step
from supertester.errors import CallExit, StartFailed
from supertester.otp import (
    KILL,
    NOREPLY,
    SHUTDOWN,
    Agent,
    ChildSpec,
    Continue,
    Down,
    GenServer,
    Pid,
    Reply,
    Root,
    Runtime,
    Stop,
    Supervisor,
    call,
    cast,
    demonitor,
    exit,
    monitor,
    self_pid,
    send,
    until_idle,
    whereis,
)

__all__ = ["OTP"]

OTP = "otp"
"""The suite of this module."""


@asynccontextmanager
async def world() -> AsyncIterator[Root]:
    """Let the body be a process of a runtime of its own, whose processes end with it."""
    async with Runtime() as runtime:
        root = runtime.new_root()
        token = runtime.activate(root)
        try:
            yield root
        finally:
            runtime.deactivate(token)


# Call timeout and late reply --------------------------------------------------------------------------------------


class Till(GenServer):
    """Takes money, half a second each time, and tidies up between."""

    def init(self) -> dict[str, Any]:
        return {"taken": 0, "seen": set()}

    async def handle_call(self, request: tuple[str | None, int], sender: Any) -> str:
        key, amount = request
        await asyncio.sleep(0.5)
        if key is None or key not in self.state["seen"]:
            self.state["taken"] += amount
            self.state["seen"].add(key)
        return "paid"

    async def handle_cast(self, message: str) -> None:
        await asyncio.sleep(0.5)


@bug("otp-late-reply", suite=OTP)
async def late_reply(*, correct: bool = False) -> None:
    """A payment that was not answered in time is made again, although the first one has been taken."""
    async with world():
        till = await Till.start_link()

        async def pay() -> None:
            key = "order 1" if correct else None
            try:
                await till.call((key, 10), timeout=1.0)
            except CallExit:
                await till.call((key, 10))

        async def tidy() -> None:
            till.cast("count the coins")

        await asyncio.gather(pay(), tidy())
        await until_idle(timeout=60)
        taken = await _state(till, "taken")
        assert taken == 10, f"{taken} were taken for 10"


async def _state(pid: Pid, key: str) -> Any:
    from supertester.otp import sys

    return (await sys.get_state(pid, timeout=60))[key]


# Monitor and exit -------------------------------------------------------------------------------------------------


class Pool(GenServer):
    """Lends one thing, and takes it back when the borrower gives it back or ends."""

    def init(self, flush: bool) -> list[str]:  # noqa: FBT001
        self.flush = flush
        self.lent: dict[Any, str] = {}
        return ["thing"]

    def handle_call(self, request: str, sender: Any) -> str:
        thing: str = self.state.pop()
        self.lent[monitor(sender.pid)] = thing
        return thing

    def handle_cast(self, thing: str) -> None:
        ref = next(ref for ref, lent in self.lent.items() if lent == thing)
        demonitor(ref, flush=self.flush)
        del self.lent[ref]
        self.state.append(thing)

    def handle_info(self, message: Down) -> None:
        self.state.append(self.lent.pop(message.ref))


class Borrower(GenServer):
    """Borrows the thing, gives it back and ends."""

    def init(self, pool: Pid) -> Continue:
        return Continue(pool)

    async def handle_continue(self, pool: Pid) -> Stop:
        pool.cast(await pool.call("lend"))
        await step()
        await step()
        return Stop(SHUTDOWN)


@bug("otp-stale-down", suite=OTP)
async def stale_down(*, correct: bool = False) -> None:
    """A monitor is given up, but its report lies in the mailbox already and is taken for the end of a borrower."""
    async with world():
        pool = await Pool.start_link(correct)
        await Borrower.start(pool)
        await until_idle()
        assert pool.is_alive(), f"the pool ended: {pool.exit_reason!r}"


# The window of restarts -------------------------------------------------------------------------------------------


class Worker(GenServer):
    """Looks something up in the database, which a supervisor may be about to restart."""

    def init(self, patient: bool) -> None:  # noqa: FBT001
        self.patient = patient

    async def handle_cast(self, message: str) -> None:
        while True:
            try:
                await call("database", message)
            except CallExit:
                if not self.patient:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


class Database(GenServer):
    def handle_call(self, request: str, sender: Any) -> str:
        return request


@bug("otp-restart-window", suite=OTP)
async def restart_window(*, correct: bool = False) -> None:
    """One crash becomes three within the window, when both workers ask before the database is there again."""
    async with world():
        children = [
            ChildSpec("database", Database, kwargs={"name": "database"}),
            ChildSpec("worker 1", Worker, (correct,), kwargs={"name": "worker 1"}),
            ChildSpec("worker 2", Worker, (correct,), kwargs={"name": "worker 2"}),
        ]
        supervisor = await Supervisor.start_link(children, max_restarts=2, max_seconds=5)

        async def ask(worker: str) -> None:
            await step()
            cast(worker, "who is there?")

        async def crash() -> None:
            for _ in range(8):
                await step()
            exit("database", KILL)

        await asyncio.gather(ask("worker 1"), ask("worker 2"), crash())
        await until_idle(timeout=60)
        assert supervisor.is_alive(), f"the supervisor gave up: {supervisor.exit_reason!r}"


# Registration -----------------------------------------------------------------------------------------------------


@bug("otp-registration", suite=OTP)
async def registration(*, correct: bool = False) -> None:
    """Two look for a server, find none, and both start it."""
    async with world():

        async def count() -> None:
            counter = whereis("counter")
            if counter is None:
                await step()
                try:
                    counter = await Agent.start(0, name="counter")
                except StartFailed as failure:
                    if not correct:
                        raise
                    counter = failure.reason[1]
            Agent.cast(counter, lambda n: n + 1)

        async def one_after_the_other(turns: int) -> None:
            for _ in range(turns):
                await step()
            await count()

        await asyncio.gather(one_after_the_other(0), one_after_the_other(4))


# The last message -------------------------------------------------------------------------------------------------


class Log(GenServer):
    """Writes its lines when it ends."""

    def init(self, written: list[str]) -> list[str]:
        self.written = written
        return []

    def handle_call(self, line: str, sender: Any) -> None:
        self.state.append(line)

    def handle_cast(self, line: str) -> None:
        self.state.append(line)

    def terminate(self, reason: Any) -> None:
        self.written.extend(self.state)


@bug("otp-last-message", suite=OTP)
async def last_message(*, correct: bool = False) -> None:
    """A log is closed by one when others have sent their lines, which have not all arrived."""
    async with world():
        written: list[str] = []
        log = await Log.start_link(written)

        async def write(line: str) -> None:
            if correct:
                await log.call(line)
            else:
                log.cast(line)

        await asyncio.gather(write("one"), write("two"))
        await log.stop()
        assert sorted(written) == ["one", "two"], f"written was {written}"


# A restart --------------------------------------------------------------------------------------------------------


class Store(GenServer):
    """Says that it has something, and then writes it down; or the other way round."""

    def init(self, disk: list[int], careful: bool) -> list[int]:  # noqa: FBT001
        self.disk = disk
        self.careful = careful
        return list(disk)

    def handle_call(self, item: int, sender: Any) -> Any:
        self.state.append(item)
        if self.careful:
            self.disk.append(item)
            return "stored"
        send(self_pid(), item)
        return Reply("stored")

    def handle_info(self, item: int) -> None:
        self.disk.append(item)


@bug("otp-acknowledged", suite=OTP)
async def acknowledged(*, correct: bool = False) -> None:
    """A store is killed between its answer and the write, and comes back without what it has acknowledged."""
    async with world():
        disk: list[int] = []
        spec = ChildSpec("store", Store, (disk, correct), kwargs={"name": "store"})
        await Supervisor.start_link([spec])
        stored = []

        async def put(item: int) -> None:
            try:
                await call("store", item)
            except CallExit:
                return
            stored.append(item)

        async def kill() -> None:
            for _ in range(6):
                await step()
            exit("store", KILL)

        await asyncio.gather(put(1), put(2), kill())
        await until_idle()
        lost = set(stored) - set(disk)
        assert not lost, f"{lost} was acknowledged and is lost"


# Two ways ---------------------------------------------------------------------------------------------------------


class Editor(GenServer):
    """Writes a page and tells a reader, who looks for it at once."""

    def init(self, library: Pid, reader: Pid, careful: bool) -> None:  # noqa: FBT001
        self.library, self.reader, self.careful = library, reader, careful

    async def handle_cast(self, page: str) -> None:
        if self.careful:
            await self.library.call(("write", page))
        else:
            self.library.cast(("write", page))
        self.reader.cast(page)


class Library(GenServer):
    def init(self) -> set[str]:
        return set()

    def handle_cast(self, message: tuple[str, str]) -> None:
        self.state.add(message[1])

    def handle_call(self, message: tuple[str, str], sender: Any) -> bool:
        if message[0] == "write":
            self.state.add(message[1])
        return message[1] in self.state


class Reader(GenServer):
    def init(self, library: Pid) -> None:
        self.library = library

    async def handle_cast(self, page: str) -> None:
        assert await self.library.call(("read", page)), f"{page} is not in the library"

    def handle_call(self, request: str, sender: Any) -> Any:
        return NOREPLY


@bug("otp-two-ways", suite=OTP)
async def two_ways(*, correct: bool = False) -> None:
    """News of a message overtake the message itself, since only what one sends to one other keeps its order."""
    async with world():
        library = await Library.start_link()
        reader = await Reader.start_link(library)
        editor = await Editor.start_link(library, reader, correct)
        editor.cast("page 1")
        await until_idle()
        assert reader.is_alive(), f"the reader ended: {reader.exit_reason!r}"
