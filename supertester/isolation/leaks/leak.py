"""`Leak`: one thing that a test left behind."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supertester._core.origin import Origin
from supertester.context import Problem

__all__ = ["Leak", "is_part_of", "plainly"]


def _nothing() -> None: ...


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One thing that a test left behind.

    Attributes:
        kind: Which policy applies.
        thing: The thing itself.
        names: What allowances are matched with.
        message: Says what it is, with the line that made it, and what to do.
        origin: Where it was made.
        end: Begins to end it; does nothing where that is impossible.
        has_ended: Says whether it is gone by now.
        is_ending: Whether it may go by itself, so that it is worth a wait.
        takes_time: Whether it takes time to end, and can be waited for.
    """

    kind: str
    thing: Any
    names: tuple[str, ...]
    message: Callable[[], str]
    origin: Origin | None = None
    end: Callable[[], object] = _nothing
    has_ended: Callable[[], bool] = lambda: True
    is_ending: bool = True
    takes_time: bool = False

    @property
    def is_own(self) -> bool:
        """Whether this library made it, which ends what it makes."""
        return self.origin is not None and self.origin.is_own

    def is_same(self, other: Leak) -> bool:
        """Say whether *other* is about the same thing."""
        same = self.thing is other.thing or (isinstance(self.thing, int) and self.thing == other.thing)
        return same and self.kind == other.kind

    def problem(self) -> Problem:
        """Return it as what fails the test."""
        return Problem(self.kind, self.message(), self.origin.stack() if self.origin is not None else "")


def plainly(origin: Origin | None, verb: str) -> str:
    """Return the part of a message that says where a thing was made."""
    return f" ({verb} at {origin.line})" if origin is not None else ""


def is_part_of(loop: Any, thing: Any) -> bool:
    """Say whether an event loop holds *thing* itself, such as its default executor, and ends it when it is closed."""
    # A loop that is written in C keeps its parts out of its attributes.
    return any(thing is part for part in (*getattr(loop, "__dict__", {}).values(), *gc.get_referents(loop)))
