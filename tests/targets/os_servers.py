"""Servers that the tests start in processes of their own; another process imports this module, so it is a small one."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import signal
import sys as python
import threading
from functools import partial
from pathlib import Path
from typing import Any

from supertester import otp
from supertester.otp import IGNORE, NOREPLY, Continue, GenServer, Pid, Reply, Stop
from supertester.otp.messages import PENDING

__all__ = [
    "FOREVER",
    "PATIENCE",
    "Careful",
    "Ciphering",
    "Counter",
    "Fragile",
    "Odd",
    "Sleeper",
    "Slow",
    "Unimportable",
    "add_ten",
    "opened_gate",
    "start",
]

FOREVER = [python.executable, "-c", "import signal\nwhile True: signal.pause()"]

PATIENCE = 60.0

# With this, a new process is there in ten milliseconds.
multiprocessing.set_forkserver_preload(["supertester.targets.os_server.child", "tests.targets.os_servers"])


async def start(*args: Any, cls: type[GenServer] | None = None, **options: Any) -> Any:
    """Start a server in a process of its own, soon."""
    from supertester.targets import start_os_server  # Of no use over there.

    return await start_os_server(
        cls or Counter, *args, **{"timeout": PATIENCE, "start_method": "forkserver", **options}
    )


class Fragile(Exception):
    """An exception that pickles but does not unpickle by itself: its ``args`` are not what its class takes."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


class Unimportable:
    """Pickles here, and raises where it is unpickled."""

    def __init__(self, where: int) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_in, (os.getpid(), self.where)


def _only_in(home: int, where: int) -> Unimportable:
    if os.getpid() != home:
        raise ImportError(f"not to be had outside of {'here' if home else where}")
    return Unimportable(where)


class Ciphering(GenServer):
    """Says with which bytes TLS begins."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        import ssl

        ours = ssl.MemoryBIO()
        secure = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ours, server_hostname="localhost")
        try:
            secure.do_handshake()
        except asyncio.sslproto.SSLAgainErrors:  # type: ignore[attr-defined]
            return ours.read(2)


def add_ten(state: Any) -> Any:
    return state + 10


def opened_gate(path: str) -> None:
    """Wait until somebody opens the named pipe at *path*: a handler that takes its time."""
    with Path(path).open("rb") as gate:
        gate.read()


class Counter(GenServer):
    """Counts, and does as it is told."""

    def init(self, start: int = 0) -> Any:
        return start

    def handle_call(self, request: Any, sender: Any) -> Any:  # noqa: C901  # A table.
        match request:
            case "value":
                return self.state
            case ("add", number):
                self.state += number
                return self.state
            case "os":
                return os.getpid(), os.getpgrp(), os.getppid()
            case "environment":
                return dict(os.environ)
            case "threads":
                return [thread.name for thread in threading.enumerate()]
            case "later":
                self.waiting = sender
                return NOREPLY
            case "now":
                self.waiting.reply("at last")
                return "told"
            case "from a thread":
                threading.Thread(target=sender.reply, args=("by a thread",)).start()
                return NOREPLY
            case "who":
                return sender.pid
            case "self":
                return otp.self_pid(), otp.whereis("counter")
            case ("echo", thing):
                return thing
            case "continue":
                return Reply("first", continue_="then")
            case "cannot be pickled":
                return lambda: None
            case "only here":
                return Unimportable(os.getpid())
            case ("raise", error):
                raise error
            case "fragile":
                raise Fragile(7, why="it broke")
            case "local error":

                class LocalError(Exception):
                    pass

                raise LocalError("nobody knows me")
            case ("stop", reason):
                return Stop(reason, reply="stopping")
            case ("kill", number):
                os.kill(os.getpid(), number)
            case ("exit", status):
                os._exit(status)
            case "system exit":
                raise SystemExit(3)
            case ("gate", path):
                opened_gate(path)
                return "passed"
            case "family":
                child = os.posix_spawn(FOREVER[0], FOREVER, os.environ)
                return child, os.posix_spawn(FOREVER[0], FOREVER, os.environ, setsid=True)
            case "messages to itself":
                otp.cast(otp.self_pid(), 1)
                otp.send_after(otp.self_pid(), "ring", 0.0)
                return "sent"
            case "busy":
                while True:
                    pass
        return ("unknown", request)

    def handle_cast(self, message: Any) -> Any:
        match message:
            case int():
                self.state += message
            case ("tell", Pid() as pid, what):
                pid.send(what)
            case ("call back", Pid() as pid, what):
                pid.cast(what)
            case ("gate", path):
                opened_gate(path)
            case "busy":
                while True:
                    pass
            case ("set", value):
                self.state = value
            case ("stop", reason):
                return Stop(reason)
            case "raise":
                raise ValueError("by a cast")
        return None

    def handle_info(self, message: Any) -> None:
        self.state = ("info", message)

    def handle_continue(self, arg: Any) -> None:
        self.state = ("continued", arg)


class Sleeper(GenServer):
    """Answers when something other than a message wakes it; what, it is asked."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        loop: Any = asyncio.get_running_loop()
        match request:
            case "by a thread":
                wake = partial(sender.reply, request)
            case "by a signal":
                signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(sender.reply, request))
                wake = partial(self.signal_until_answered, sender)
            case "by a signal that the loop handles":
                loop.add_signal_handler(signal.SIGUSR1, sender.reply, request)
                wake = partial(os.kill, os.getpid(), signal.SIGUSR1)
            case "by a descriptor":
                reading, writing = os.pipe()
                loop.add_reader(reading, lambda: sender.reply(f"{request}: {os.read(reading, 1)!r}"))
                wake = partial(os.write, writing, b"!")
            case "by a timer":
                wake = partial(loop.call_soon_threadsafe, loop.call_later, 0.001, sender.reply, request)
        threading.Thread(target=self.wake_asleep, args=(loop, wake)).start()
        return NOREPLY

    def wake_asleep(self, loop: Any, wake: Any) -> None:
        while loop._serving._is_alone and not loop._serving._is_reading:
            os.sched_yield()
        wake()

    def signal_until_answered(self, sender: Any) -> None:
        while sender.value is PENDING:  # One that comes just before it goes to sleep does not keep it awake.
            os.kill(os.getpid(), signal.SIGUSR1)
            os.sched_yield()


class Careful(GenServer):
    """Traps exits, and writes down what it was asked to end for."""

    def init(self, path: str) -> Any:
        otp.flag_trap_exit()
        self.path = path
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.state

    def handle_info(self, message: Any) -> None:
        self.state.append(message)

    def terminate(self, reason: Any) -> None:
        Path(self.path).write_text(repr(reason), encoding="utf-8")


class Slow(GenServer):
    """All its callbacks are async."""

    async def init(self, value: Any = None) -> Any:
        await asyncio.sleep(0)
        return Continue("go on", state=value)

    async def handle_continue(self, arg: Any) -> None:
        self.state = (self.state, arg)

    async def handle_call(self, request: Any, sender: Any) -> Any:
        if request == "job":
            return await asyncio.get_running_loop().run_in_executor(None, os.getpid)
        if request == "for ever":
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        return self.state

    async def handle_cast(self, message: Any) -> None:
        self.state = message


class Odd(GenServer):
    """Starts, or does not."""

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("odd", default=0)

    def init(self, how: str) -> Any:
        match how:
            case "ignore":
                return IGNORE
            case "stop":
                return Stop("no wish")
            case "raise":
                raise LookupError("nothing there")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "for ever":
                threading.Event().wait()
        return how
