"""`Mismatch`: what a check found out, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Mismatch"]


@dataclass(frozen=True)
class Mismatch:
    """How something differs from what was expected, with the events that led there.

    ``check_*`` functions return one, or ``None`` when all is well; only mixins turn it into a failure.

    >>> print(Mismatch("'db' restarted 1 times, expected 2", history=["db (killed)", "web (linked)"]))
    'db' restarted 1 times, expected 2
      1. db (killed)
      2. web (linked)
    """

    message: str
    history: Sequence[Any] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", tuple(self.history))

    def __str__(self) -> str:
        lines = [self.message]
        lines += (f"  {number}. {event}" for number, event in enumerate(self.history, 1))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form; events are shown as text."""
        return {"message": self.message, "history": [str(event) for event in self.history]}
