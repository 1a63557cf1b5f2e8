"""What the isolation modes mean in numbers."""

from __future__ import annotations

from typing import Final

from supertester.context import Isolation
from supertester.errors import UsageError

__all__ = ["checked_mode", "isolation_allows_async", "isolation_timeout"]

_TIMEOUTS: Final = {
    Isolation.BASIC.value: 5.0,
    Isolation.REGISTRY.value: 10.0,
    Isolation.FULL_ISOLATION.value: 15.0,
    Isolation.CONTAMINATION_DETECTION.value: 30.0,
}


def checked_mode(mode: str) -> str:
    """Return *mode* as a plain string.

    Raises:
        UsageError: There is no such mode.
    """
    if isinstance(mode, Isolation):
        return mode.value
    if mode not in _TIMEOUTS:
        raise UsageError(f"unknown isolation mode {mode!r}; choose one of {', '.join(_TIMEOUTS)}")
    return mode


def isolation_timeout(mode: str) -> float:
    """Return how many seconds the whole cleanup of a test in *mode* may take: 5, 10, 15 or 30.

    Raises:
        UsageError: There is no such mode.
    """
    return _TIMEOUTS[checked_mode(mode)]


def isolation_allows_async(mode: str) -> bool:
    """Say whether tests in *mode* may run beside others; those that compare process-global state run alone.

    Raises:
        UsageError: There is no such mode.
    """
    return checked_mode(mode) != Isolation.CONTAMINATION_DETECTION.value
