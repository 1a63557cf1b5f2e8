"""Random programs of a few processes, whose outcome depends on the order of what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from supertester.errors import CallExit, StartFailed, UsageError
from supertester.otp import (
    KILL,
    SHUTDOWN,
    Agent,
    ChildSpec,
    Down,
    Exit,
    GenServer,
    Pid,
    Registry,
    Supervisor,
    call,
    exit,
    flag_trap_exit,
    link,
    monitor,
    register,
    self_pid,
    until_idle,
    whereis,
)
from tests.otp.exploring import world
from tests.schedule.exploring import SECOND

__all__ = ["random_program"]

_KINDS = {
    "cast": 4,
    "call": 4,
    "forward": 3,
    "kill": 1,
    "exit": 1,
    "look": 2,
    "register": 1,
    "whereis": 1,
    "monitor": 1,
    "link": 1,
    "stop": 1,
    "start": 1,
    "slow": 1,
    "ask": 2,
    "end": 1,
    "enter": 1,
    "find": 1,
    "receive": 1,
}


_OF_TREES = frozenset({"ask", "end", "enter", "find"})


class Plain(GenServer):
    """Writes down what comes, and passes on what it is asked to."""

    def init(self, number: int, trap: bool, diary: list[Any]) -> Any:
        self.number = number
        self.diary = diary
        flag_trap_exit(trap)

    def note(self, what: Any) -> None:
        self.diary.append((self.number, what))

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.note(request)
        return sum(number == self.number for number, _ in self.diary)

    def handle_cast(self, message: Any) -> Any:
        kind, what, other = message
        self.note(what)
        if kind == "forward":
            other.cast(("cast", what, None))
        elif kind == "monitor":
            monitor(other)
        elif kind == "link":
            try:
                link(other)
            except CallExit:
                self.note("too late to link")

    def handle_info(self, message: Any) -> Any:
        self.note((type(message).__name__, str(message.reason)) if isinstance(message, (Down, Exit)) else message)

    def terminate(self, reason: Any) -> None:
        self.note(("terminate", str(reason)))


class Waiting(Plain):
    """The same with handlers that wait a little."""

    async def handle_cast(self, message: Any) -> Any:
        await asyncio.sleep(0)
        super().handle_cast(message)


class Sleeping(Plain):
    """The same with handlers that sleep."""

    async def handle_cast(self, message: Any) -> Any:
        await asyncio.sleep(SECOND)
        super().handle_cast(message)


class Client:
    """Does one thing after the other, and remembers what it saw."""

    def __init__(self, number: int, script: list[tuple[str, int]], servers: list[Pid]) -> None:
        self.number = number
        self.script = script
        self.servers = servers
        self.seen: list[Any] = []

    async def run(self) -> None:
        for at, (kind, which) in enumerate(self.script):
            target, other = self.servers[which], self.servers[which - 1]
            try:
                seen = await getattr(self, kind, self.tell)(kind, target, other, f"{self.number}.{at}")
                self.seen.append(tuple(seen) if isinstance(seen, list) else seen)
            except (CallExit, StartFailed) as error:
                self.seen.append(type(error).__name__ + str(getattr(error, "reason", ""))[:8])
            except UsageError as error:
                self.seen.append(type(error).__name__)

    async def tell(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        target.cast((kind, what, other))

    async def call(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        return await target.call(what, timeout=5)

    async def slow(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        await asyncio.sleep(SECOND)
        return await target.call(what, timeout=1)

    async def kill(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        exit(target, KILL)

    async def exit(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        exit(target, SHUTDOWN)

    async def look(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        return target.is_alive()

    async def register(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        register(target, "name")

    async def whereis(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        found = whereis("name")
        return None if found is None else found in self.servers

    async def stop(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        await target.stop()

    async def ask(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        return await call("child", what)

    async def end(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        exit("child", KILL)

    async def enter(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        Registry.register("registry", self.number % 2, pid=target)

    async def find(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        return [self.servers.index(pid) for pid, _ in Registry.lookup("registry", 0)]

    async def receive(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        monitor(target)
        exit(target, KILL)
        root: Any = self_pid()
        return str((await root.receive(Down)).reason)

    async def start(self, kind: str, target: Pid, other: Pid, what: str) -> Any:
        await Agent.start(0, name="name")


def random_program(seed: int, *, with_tree: bool = False) -> Callable[[], Coroutine[Any, Any, Any]]:
    """Return an async function whose result tells what each of its clients and servers saw.

    Args:
        seed: What the program is drawn from.
        with_tree: Whether there are a supervised server and a registry, too, which make for many more orders.
    """
    random = Random(seed)
    kinds = [random.choice((Plain, Plain, Waiting, Sleeping)) for _ in range(random.choice((1, 2)))]
    traps = [random.random() < 0.3 for _ in kinds]
    names = [name for name in _KINDS if with_tree or name not in _OF_TREES]
    weights = [_KINDS[name] for name in names]
    scripts = [
        [(random.choices(names, weights)[0], random.randrange(len(kinds))) for _ in range(random.choice((1, 1, 2)))]
        for _ in range(random.choice((2, 2, 3)))
    ]

    async def program() -> Any:
        diary: list[Any] = []
        async with world():
            servers = [
                await kind.start(at, trap, diary) for at, (kind, trap) in enumerate(zip(kinds, traps, strict=True))
            ]
            if with_tree:
                children = [
                    ChildSpec("child", Plain, (9, False, diary), kwargs={"name": "child"}),
                    ChildSpec("registry", Registry, kwargs={"name": "registry"}),
                ]
                await Supervisor.start_link(children)
            clients = [Client(at, script, servers) for at, script in enumerate(scripts)]
            await asyncio.gather(*(client.run() for client in clients))
            await until_idle(timeout=60)
            saw = tuple(tuple(client.seen) for client in clients)
            noted = tuple(tuple(what for number, what in diary if number == at) for at in (*range(len(servers)), 9))
            ends = tuple(str(server.exit_reason) for server in servers)
        return saw, noted, ends

    program.__doc__ = repr((kinds, traps, scripts))
    return program
