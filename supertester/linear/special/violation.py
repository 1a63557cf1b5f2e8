"""What a checker found: an order of the operations, or what stands against every order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from supertester.linear.history import Operation

__all__ = ["Order", "Violation", "violation"]

Order = Callable[[], "list[Operation]"]
"""Makes the order, when it is asked for: most who want to know whether there is one do not."""


@dataclass(frozen=True)
class Violation:
    """A sentence, and the few operations that it is about, in the order of their calls."""

    sentence: str
    evidence: tuple[Operation, ...]


def violation(sentence: str, evidence: Iterable[Operation | None]) -> Violation:
    """Return the violation; of what is named twice one is kept, and ``None`` stands for what never happened."""
    found = {id(each): each for each in evidence if each is not None}
    return Violation(sentence, tuple(sorted(found.values(), key=lambda each: each.invoked)))
