"""Upper bounds for what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError

__all__ = ["check_performance_within_bounds"]

_KNOWN: Final = ("max_time", "max_memory")


def check_performance_within_bounds(result: Any, expectations: Mapping[str, float]) -> Mismatch | None:
    """Say which bounds *result* exceeds, or return ``None``.

    Args:
        result: What was measured: a mapping with, or an object that has, ``max_time`` and ``max_memory``.
        expectations: What these may be at most; one of them or both, in the units of *result*.

    Raises:
        UsageError: There is nothing to expect, a bound is unknown or no number, or *result* lacks what it is about.

    >>> print(check_performance_within_bounds({"max_time": 30}, {"max_time": 20}))
    max_time is 30, expected at most 20
    """
    if not isinstance(expectations, Mapping):
        raise TypeError(f"expectations must be a mapping, got {expectations!r}")
    if not expectations:
        raise UsageError(f"there is nothing to check; give bounds for {' or '.join(_KNOWN)}")
    exceeded = []
    for name, bound in expectations.items():
        if name not in _KNOWN:
            raise UsageError(f"unknown bound {name!r}; the known ones are {', '.join(_KNOWN)}")
        limit, actual = _number(name, bound, "the bound"), _number(name, _measured(result, name), "the result")
        if not actual <= limit:
            exceeded.append(f"{name} is {actual}, expected at most {limit}")
    return Mismatch("; ".join(exceeded)) if exceeded else None


def _measured(result: Any, name: str) -> Any:
    missing = object()
    value = result.get(name, missing) if isinstance(result, Mapping) else getattr(result, name, missing)
    if value is missing:
        raise UsageError(f"the result has no {name!r}, so it cannot be within a bound for it: {result!r}")
    return value


def _number(name: str, value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{what} for {name!r} must be a number, got {value!r}")
    return value
