"""Checkers for the objects that programs are made of, which need no search.

Each decides a history by what its object is, in time that grows with the number of operations and its logarithm, and
says in a sentence what stands against it. They ask for little: of a queue, a stack and a register, that no value is put
in twice; of a counter, that it counts by one. What they do not know they leave to `supertester.linear.search`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from supertester.linear.history import Operation
from supertester.linear.models import MODELS
from supertester.linear.special.counting import counted
from supertester.linear.special.fifo import first_in_first_out
from supertester.linear.special.lifo import last_in_first_out
from supertester.linear.special.toggling import toggled
from supertester.linear.special.violation import Order, Violation
from supertester.linear.special.zones import zoned

__all__ = ["Order", "Violation", "decided"]

Checker = Callable[[Sequence[Operation], Any], "Order | Violation | None"]

CHECKERS: Final[dict[str, Checker]] = {
    "register": zoned,
    "map": zoned,
    "counter": counted,
    "queue": first_in_first_out,
    "stack": last_in_first_out,
    "set": toggled,
    "lock": toggled,
}


def decided(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Return an order of *operations* that *model* allows, or why there is none, or ``None``: let others decide.

    Args:
        operations: Those of one independent part of the object, in the order of their calls.
        model: The model; only the ready-made ones have checkers.

    Raises:
        UsageError: The model has no such operation.
    """
    if model.name not in CHECKERS or MODELS[model.name] is not model:
        return None
    try:
        return CHECKERS[model.name](operations, model)
    except TypeError:
        return None  # A value that cannot be hashed, or compared, is nothing to look up.
