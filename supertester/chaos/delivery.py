"""Whether chaos was delivered: that a system bears a fault which nobody has delivered shows nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester.chaos.chance import checked_count

__all__ = ["check_faults_delivered"]

_SHOWN = 50


def check_faults_delivered(hits: Iterable[Any], **at_least: int) -> Mismatch | None:
    """Say which kinds of fault were not delivered as often as they had to be, or return ``None``.

    Args:
        hits: The faults: the ``hits`` of `inject_random_failures` or of a `FailureDeck`, or the events of a journal.
        at_least: For each kind how often, e.g. ``exit=5``; without any, one fault of whatever kind.

    Raises:
        UsageError: A number is below 1.

    >>> print(check_faults_delivered([], exit=2))
    exit was delivered 0 times, expected at least 2
    """
    for kind, count in at_least.items():
        checked_count(kind, count)
    delivered = list(hits)
    if not at_least:
        return None if delivered else Mismatch("no fault was delivered, so nothing was tried")
    found = Counter(_kind_of(hit) for hit in delivered)
    few = [
        f"{kind} was delivered {found[kind]} times, expected at least {count}"
        for kind, count in at_least.items()
        if found[kind] < count
    ]
    return Mismatch("; ".join(few), delivered[:_SHOWN]) if few else None


def _kind_of(hit: Any) -> str:
    """Return the kind of a fault: as the event says, or as the outcome of a message that was hit begins."""
    outcome = getattr(hit, "outcome", None)
    return str(hit.fault) if outcome is None else str(outcome).partition(":")[0]
