"""Operations: what the logical threads of a scenario do, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supertester._core.evidence import shown
from supertester._core.naming import describe
from supertester.errors import UsageError

__all__ = ["KINDS", "Operation", "checked_kind", "normalized", "script", "shown_operation"]

Operation = tuple[str, Any]
"""``("call", request)``, ``("cast", message)`` or ``("custom", function)``."""

KINDS = ("call", "cast", "custom")


def checked_kind(kind: str) -> str:
    """Return *kind* if bare terms can be operations of that kind.

    Raises:
        UsageError: It is neither ``"call"`` nor ``"cast"``.
    """
    if kind not in ("call", "cast"):
        raise UsageError(f"default_operation must be 'call' or 'cast', got {kind!r}")
    return kind


def normalized(operation: Any, default: str = "call") -> Operation:
    """Return *operation* as a pair of its kind and what it is about.

    A pair ``("call", request)``, ``("cast", message)`` or ``("custom", function)`` stays as it is; a function is a
    custom operation; any other term becomes an operation of the kind *default*.

    Raises:
        TypeError: A custom operation is no function.

    >>> normalized(("cast", "reset")), normalized("value"), normalized(("add", 1), "cast")
    (('cast', 'reset'), ('call', 'value'), ('cast', ('add', 1)))
    """
    if _is_operation(operation):
        if operation[0] == "custom" and not callable(operation[1]):
            raise TypeError(f'("custom", function) takes a function of the subject, got {operation[1]!r}')
        return operation  # type: ignore[no-any-return]
    if callable(operation) and not isinstance(operation, type):
        return ("custom", operation)
    return (default, operation)


def _is_operation(term: Any) -> bool:
    return isinstance(term, tuple) and len(term) == 2 and isinstance(term[0], str) and term[0] in KINDS


def script(operations: Any, default: str = "call") -> tuple[Operation, ...]:
    """Return the operations of one logical thread; what is no list of them is a script of one operation."""
    is_script = isinstance(operations, Iterable) and not isinstance(operations, (str, bytes, tuple, dict))
    if not is_script and not (isinstance(operations, tuple) and all(map(_is_operation, operations))):
        operations = [operations]
    return tuple(normalized(operation, default) for operation in operations)


def shown_operation(operation: Operation) -> str:
    """Return *operation* as text, e.g. ``call('value')``."""
    kind, content = operation
    return f"{kind}({describe(content) if kind == 'custom' else shown(content)})"
