"""What is known of a task that waits, beyond what asyncio knows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = ["MESSAGE", "Explain", "Reply", "Standing"]

MESSAGE: Final = "a message"
"""What a server waits for that has nothing to do."""


@dataclass(frozen=True)
class Reply:
    """The answer that a task waits for.

    Attributes:
        server: Who has to give it; its ``task`` is the one that does, if it has one.
        request: What it was asked, in words.
    """

    server: Any
    request: str

    def by(self, name: str) -> str:
        """Return it in words, where the server is called *name*."""
        return f"the reply of {name} to {self.request}"

    def __str__(self) -> str:
        return self.by(repr(self.server))


class Standing(NamedTuple):
    """What a task is called, the coroutine that it runs, and what that waits for; ``None`` where asyncio knows best."""

    name: str | None
    steps: Any
    wanted: Reply | str | None


Explain = Callable[[asyncio.Task[Any]], Standing]
"""Knows more of a task than asyncio."""
