"""Rooms: servers that come and go, found by a key, which keep track of who is in them."""

from __future__ import annotations

import logging
from typing import Any

from supertester.otp import (
    Call,
    ChildSpec,
    Down,
    GenServer,
    Pid,
    Ref,
    Registry,
    call,
    demonitor,
    monitor,
    start_child,
    terminate_child,
)

__all__ = ["REGISTRY", "SUPERVISOR", "Room", "close_room", "open_room", "say"]

REGISTRY = "rooms"
SUPERVISOR = "room_supervisor"

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())


class Room(GenServer):
    """Keeps what was said, and forgets members that ended."""

    def init(self, topic: str) -> dict[str, Any]:
        self.watched: dict[Pid, Ref] = {}
        log.info("room %r opens", topic)
        return {"topic": topic, "said": []}

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case ("join", member):
                self.watched[member] = monitor(member)
                return len(self.watched)
            case ("leave", member):
                demonitor(self.watched.pop(member), flush=True)
                return len(self.watched)
            case ("say", text):
                self.state["said"].append(text)
                log.debug("in room %r: %s", self.state["topic"], text)
                return f"{self.state['topic']}: {text}"
            case "members":
                return list(self.watched)
            case _:
                return super().handle_call(request, sender)

    def handle_info(self, message: Any) -> None:
        if isinstance(message, Down):
            self.watched.pop(message.pid, None)
            log.warning("a member of room %r is gone: %r", self.state["topic"], message.reason)


async def open_room(topic: str) -> Pid:
    """Start a room that `say` finds by its topic."""
    spec = ChildSpec(topic, Room, args=(topic,), kwargs={"name": Registry.via(REGISTRY, topic)}, restart="transient")
    return await start_child(SUPERVISOR, spec)


async def close_room(topic: str) -> None:
    """Stop the room on *topic*; a room that is not there is no error."""
    if (room := Registry.whereis(REGISTRY, topic)) is not None:
        await terminate_child(SUPERVISOR, room)


async def say(topic: str, text: str) -> str:
    """Say *text* in the room on *topic* and return what is heard there."""
    heard: str = await call(Registry.via(REGISTRY, topic), ("say", text))
    return heard
