"""The guestbook: a table in a module, as programs have them, and a server that writes into it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from supertester.otp import Call, GenServer

__all__ = ["GUESTS", "Clerk", "greeting", "sign"]

GUESTS: dict[str, list[str]] = {"EchoLab": ["opened today"]}


class Clerk(GenServer):
    """Signs for others, and knows how many have signed."""

    def handle_call(self, request: Any, sender: Call) -> Any:
        match request:
            case ("sign", name, text):
                return sign(name, text)
            case "count":
                return len(GUESTS)
            case _:
                return super().handle_call(request, sender)


def sign(name: str, text: str) -> str:
    """Write into the guestbook."""
    GUESTS.setdefault(name, []).append(text)
    return greeting(name)


@lru_cache(maxsize=32)
def greeting(name: str) -> str:
    """Return what a guest is told."""
    return f"Thank you, {name}"
