"""The journal of chaos: which fault hit whom and when, so that a run can be explained and made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from supertester._core.evidence import shown
from supertester._core.seeds import derive_seed, run_seed
from supertester.context import current_context
from supertester.otp.runtime import current_runtime

__all__ = ["ChaosEvent", "Journal", "chosen_seed", "journaled", "note", "noting_here"]


@dataclass(frozen=True, kw_only=True)
class ChaosEvent:
    """One fault that was delivered.

    Attributes:
        fault: What kind it was, e.g. ``"kill_children"``.
        target: Whom it hit.
        at_ms: When, in milliseconds since the chaos began.
        details: What else is needed to understand it, or to do it again.
    """

    fault: str
    target: Any
    at_ms: float
    details: Any = None

    def __str__(self) -> str:
        details = "" if self.details is None else f": {shown(self.details)}"
        return f"{self.at_ms:.1f} ms: {self.fault} hit {shown(self.target)}{details}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        plain = isinstance(self.details, (str, int, float, list, dict, type(None)))
        return {
            "fault": self.fault,
            "target": shown(self.target),
            "at_ms": self.at_ms,
            "details": self.details if plain else shown(self.details),
        }


@dataclass(eq=False)
class Journal:
    """The faults that were delivered while it was open, oldest first."""

    began: float
    events: list[ChaosEvent] = field(default_factory=list)


_open: ContextVar[tuple[Journal, ...]] = ContextVar("supertester.chaos.journals", default=())


@contextmanager
def journaled() -> Iterator[Journal]:
    """Collect the faults that the body delivers, and whatever it starts."""
    journal = Journal(current_runtime().clock.time())
    token = _open.set((*_open.get(), journal))
    try:
        yield journal
    finally:
        _open.reset(token)


def note(fault: str, target: Any, details: Any = None) -> None:
    """Write into all open journals that *fault* has hit *target* just now."""
    if _open.get():
        noting_here()(fault, target, details)


def noting_here() -> Callable[[str, Any, Any], None]:
    """Return a `note` that writes into the journals open here wherever it is called: in a handler, in a thread."""
    journals = _open.get()
    if not journals:  # Then nobody needs to know the time, and there may be no event loop that has one.
        return lambda *_: None
    clock = current_runtime().clock

    def note_there(fault: str, target: Any, details: Any) -> None:
        now = clock.time()
        for journal in journals:
            at_ms = (now - journal.began) * 1000
            journal.events.append(ChaosEvent(fault=fault, target=target, at_ms=at_ms, details=details))

    return note_there


def chosen_seed(seed: int | None, what: str) -> int:
    """Return *seed*, or by default one derived from that of the running test."""
    if seed is not None:
        return seed
    context = current_context.get()
    return derive_seed(context.seed if context is not None else run_seed(), what)
