"""Values in failure messages: short, whatever their size, and with the line that defines them where that is known."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

__all__ = ["changed_lines", "shown", "shown_with_origin"]

_LINES: Final = 10


class _Short(reprlib.Repr):
    """Never asks a container for more than it shows of it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 6
        self.maxdict = 6
        self.maxstring = self.maxother = 120


_short: Final = _Short()


def shown(value: Any) -> str:
    """Return *value* as text of bounded length.

    >>> shown(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    try:
        return _short.repr(value)
    except Exception:  # noqa: BLE001 - a class that lies about its size; a report of a failure must not fail
        return object.__repr__(value)


def shown_with_origin(value: Any) -> str:
    """Return *value* as text, with where it is defined if it is a function, a class or a module."""
    origin = _origin(value)
    return f"{shown(value)} (from {origin})" if origin else shown(value)


def _origin(value: Any) -> str | None:
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    if code is not None and isinstance(getattr(code, "co_filename", None), str):
        return f"{code.co_filename}:{code.co_firstlineno}"
    if isinstance(value, ModuleType):
        return getattr(value, "__file__", None)
    return None


def changed_lines(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Return the lines between the common beginning and the common end of two sequences, as a diff of bounded length.

    >>> print(changed_lines(["a", "b", "d"], ["a", "c", "d"]))
    - 'b'
    + 'c'
    """
    start = 0
    while start < min(len(before), len(after)) and before[start] is after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] is after[-1 - end]:
        end += 1
    lines = [*_marked("-", before[start : len(before) - end]), *_marked("+", after[start : len(after) - end])]
    return "\n".join(lines)


def _marked(mark: str, values: Sequence[Any]) -> list[str]:
    lines = [f"{mark} {shown_with_origin(value)}" for value in values[:_LINES]]
    if len(values) > _LINES:
        lines.append(f"{mark} ... and {len(values) - _LINES} more")
    return lines
