"""Numbers that users give, checked."""

from __future__ import annotations

from typing import Any

from supertester.errors import UsageError

__all__ = ["checked_count"]


def checked_count(name: str, count: Any, least: int = 1) -> int:
    """Return *count*, or raise the error that a bad one deserves: a whole number of *least* or more is wanted."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name} must be a whole number, got {name}={count!r}")
    if count < least:
        raise UsageError(f"{name} must be {least} or more, got {name}={count!r}")
    return count
