"""Workers: one that behaves, one that hoards its messages, and one that does not want to die."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.otp import Call, Exit, GenServer, Reference, cast, flag_trap_exit

__all__ = ["Hoarder", "Stubborn", "Worker"]


class Worker(GenServer):
    """Does jobs, and says goodbye to *journal*, a server, when it is asked to end."""

    def init(self, label: str = "worker", journal: Reference | None = None) -> dict[str, Any]:
        self.journal = journal
        flag_trap_exit()  # So that `terminate` runs when the supervisor asks the worker to end.
        return {"label": label, "jobs": [], "signals": []}

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case "jobs":
                return list(self.state["jobs"])
            case "label":
                return self.state["label"]
            case _:
                return super().handle_call(request, sender)

    def handle_cast(self, message: Any) -> None:
        self.state["jobs"].append(message)

    def handle_info(self, message: Any) -> None:
        if isinstance(message, Exit):
            self.state["signals"].append(message.reason)

    def terminate(self, reason: Any) -> None:
        if self.journal is not None:
            cast(self.journal, (self.state["label"], reason))


class Hoarder(GenServer):
    """Handles one message and then no more until it is let go on; what else comes stays in its mailbox."""

    def init(self) -> None:
        self.gate = asyncio.Event()

    async def handle_cast(self, message: Any) -> None:
        await self.gate.wait()


class Stubborn(GenServer):
    """Swallows every cancellation, and waits again."""

    def init(self) -> None:
        self.gate = asyncio.Event()
        flag_trap_exit()

    async def handle_cast(self, message: Any) -> None:
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue
