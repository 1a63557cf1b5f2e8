"""Servers and supervisors that the tests of assertions are about, sound ones and ones with bugs planted in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from supertester._core.clock import ManualClock
from supertester.otp import NOREPLY, ChildSpec, Continue, GenServer, Stop, Supervisor, flag_trap_exit


class Jumping(ManualClock):
    """Time that jumps to its next timer when the loop has turned many times without a new one: waiting takes none."""

    _turns = 0

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        timer = super().call_at(when, callback, *args)
        if not self._turns:
            asyncio.get_running_loop().call_soon(self._turn)
        self._turns = 30
        return timer

    def _turn(self) -> None:
        self._turns -= 1
        if not self._turns:
            when = self.next_timer()
            if when is None:
                return
            self._turns = 30
            self.advance(max(when - self.time(), 0.0))
        asyncio.get_running_loop().call_soon(self._turn)


class Counter(GenServer):
    """Counts, and crashes when asked to."""

    def init(self, start: int = 0) -> Any:
        return {"count": start}

    def handle_call(self, request: Any, sender: Any) -> Any:
        match request:
            case "value":
                return self.state["count"]
            case "crash":
                raise OSError("asked to crash")
            case "silence":
                return NOREPLY
        return ("echo", request)

    def handle_cast(self, message: Any) -> Any:
        match message:
            case ("add", n):
                self.state["count"] += n
            case ("stop", reason):
                return Stop(reason)
            case "crash":
                raise OSError("asked to crash")
        return None


class Forgetful(Counter):
    """Loses its first cast."""

    lost = False

    def handle_cast(self, message: Any) -> Any:
        if not self.lost:
            self.lost = True
            return None
        return super().handle_cast(message)


class Busy(GenServer):
    """Its first cast never ends."""

    async def handle_cast(self, message: Any) -> Any:
        await asyncio.get_running_loop().create_future()


class Stubborn(Counter):
    """Traps exits and goes on."""

    def init(self, start: int = 0) -> Any:
        flag_trap_exit(True)
        return super().init(start)

    def handle_info(self, message: Any) -> Any:
        pass


class Dies(GenServer):
    """Crashes as soon as it has started."""

    def init(self) -> Any:
        return Continue("die")

    def handle_continue(self, arg: Any) -> Any:
        return Stop("died at once")


def counter_spec(name: str, **options: Any) -> ChildSpec:
    """Return the spec of a `Counter` with *name* as its id and name."""
    return ChildSpec(name, Counter, kwargs={"name": name}, **options)


async def team(*names: str, **options: Any) -> Any:
    """Start a supervisor of counters."""
    return await Supervisor.start_link([counter_spec(name) for name in names], **options)
