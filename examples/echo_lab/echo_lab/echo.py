"""Servers that answer: at once, later, or after they have made themselves ready."""

from __future__ import annotations

from typing import Any

from supertester.otp import NOREPLY, NORMAL, TIMEOUT, Call, Continue, GenServer, Reply, Stop, self_pid, send_after

__all__ = ["Dictionary", "Echo", "Session"]


class Echo(GenServer):
    """Answers every call with its request.

    ``("hold", text)`` is answered when the message ``"release"`` comes, ``("delay", seconds, text)`` when the time has
    come. Casts and messages are kept in the state.
    """

    def init(self) -> list[Any]:
        self.held: list[tuple[Call, Any]] = []
        return []

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case ("hold", text):
                self.held.append((sender, text))
                return NOREPLY
            case ("delay", seconds, text):
                send_after(self_pid(), ("answer", sender, text), seconds)
                return NOREPLY
            case _:
                return request

    def handle_cast(self, message: Any) -> None:
        self.state.append(message)

    def handle_info(self, message: Any) -> None:
        match message:
            case "release":
                held, self.held = self.held, []
                for sender, text in held:
                    sender.reply(text)
            case ("answer", sender, text):
                sender.reply(text)
            case _:
                self.state.append(message)


class Session(GenServer):
    """Answers calls, and ends when nobody has called for *idle* seconds."""

    def init(self, idle: float) -> Any:
        return Reply({"idle": idle, "requests": 0}, timeout=idle)

    def handle_call(self, request: Any, sender: Call) -> Any:
        self.state["requests"] += 1
        return Reply(request, timeout=self.state["idle"])

    def handle_info(self, message: Any) -> Any:
        return Stop(NORMAL) if message is TIMEOUT else None


class Dictionary(GenServer):
    """Knows words. It starts at once and reads them afterwards, before it answers anybody."""

    def init(self, *words: str) -> Any:
        return Continue(words, state={})

    async def handle_continue(self, arg: tuple[str, ...]) -> None:
        self.state.update({word.lower(): word for word in arg})

    def handle_call(self, request: str, sender: Call) -> Any:
        if request == "close":
            return Stop(NORMAL, reply=sorted(self.state))
        return self.state.get(request.lower())
