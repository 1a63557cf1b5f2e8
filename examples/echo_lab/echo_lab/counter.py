"""Servers that count."""

from __future__ import annotations

from typing import Any

from supertester.otp import Call, GenServer, Stop

__all__ = ["Counter", "Tally"]


class Counter(GenServer):
    """Counts. It is called with ``"value"``, ``("add", n)`` or ``("divide", n)``, and takes the cast ``("add", n)``."""

    def init(self, start: int = 0) -> Any:
        if start < 0:
            return Stop(("negative_start", start))
        return {"count": start}

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case "value":
                return self.state["count"]
            case ("add", n):
                self.state["count"] += n
                return self.state["count"]
            case ("divide", n):
                self.state["count"] //= n
                return self.state["count"]
            case _:
                return super().handle_call(request, sender)  # A request that nobody understands ends the server.

    def handle_cast(self, message: Any) -> Any:
        match message:
            case ("add", n):
                self.state["count"] += n
                return None
            case _:
                return super().handle_cast(message)


class Tally(GenServer):
    """The same, with a plain number as its state, and in coroutines."""

    async def init(self, start: int = 0) -> int:
        return start

    async def handle_call(self, request: Any, sender: Call) -> Any:
        return self.state

    async def handle_cast(self, message: int) -> None:
        self.state += message
