"""Histories: what concurrent callers asked of an object, when, and what it answered."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from supertester._core.evidence import shown
from supertester.errors import UsageError

__all__ = ["PENDING", "History", "Operation"]

PENDING: Final = float("inf")
"""When an operation returned that never did: it may have had its effect at any time since it was called, or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an object.

    Attributes:
        process: Who called; one caller does one thing after the other.
        name: What was called, e.g. ``"enqueue"``.
        args: With which arguments.
        result: What came back; without meaning while it is pending.
        invoked: When it was called, on any clock that all calls share.
        returned: When it returned, or `PENDING`.
    """

    process: Hashable
    name: str
    args: tuple[Any, ...] = ()
    result: Any = None
    invoked: float = 0
    returned: float = PENDING

    @property
    def pending(self) -> bool:
        """Whether it never returned, so that nobody knows whether it took effect."""
        return self.returned == PENDING

    def __str__(self) -> str:
        arguments = ", ".join(map(shown, self.args))
        outcome = "never returned" if self.pending else f"-> {shown(self.result)}"
        return f"{self.process}: {self.name}({arguments}) {outcome}"


@dataclass(eq=False)
class History:
    """A history that is written down as it happens, on a clock of its own that counts calls and returns.

    >>> history = History()
    >>> write = history.invoke("a", "write", 1)
    >>> read = history.invoke("b", "read")
    >>> history.complete(read, 0)
    >>> history.complete(write)
    >>> [str(operation) for operation in history]
    ['a: write(1) -> None', 'b: read() -> 0']
    """

    _clock: Iterator[int] = field(default_factory=itertools.count)
    _open: dict[int, tuple[Hashable, str, tuple[Any, ...]]] = field(default_factory=dict)
    _done: list[Operation] = field(default_factory=list)

    def invoke(self, process: Hashable, name: str, *args: Any) -> int:
        """Note that *process* calls *name*; return a token for `complete`."""
        now = next(self._clock)
        self._open[now] = (process, name, args)
        return now

    def complete(self, token: int, result: Any = None) -> None:
        """Note that the call *token* returned *result*.

        Raises:
            UsageError: It has returned already, or was never made.
        """
        if token not in self._open:
            raise UsageError(f"there is no open call {token!r}; complete() takes what invoke() returned, once")
        process, name, args = self._open.pop(token)
        self._done.append(Operation(process, name, args, result, token, next(self._clock)))

    def operations(self) -> list[Operation]:
        """Return all operations in the order of their calls, those without an answer as pending."""
        left = [Operation(*call, None, token) for token, call in self._open.items()]
        return sorted([*self._done, *left], key=lambda operation: operation.invoked)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations())


def checked(operations: Iterable[Any]) -> list[Operation]:
    """Return *operations* in the order of their calls.

    Raises:
        TypeError: One is no `Operation`.
        UsageError: One returned before it was called, or a process made two calls at once.
    """
    ordered = list(operations)
    for operation in ordered:
        if not isinstance(operation, Operation):
            raise TypeError(f"a history consists of Operation(process, name, args, result, ...), got {operation!r}")
        if not operation.returned >= operation.invoked:
            raise UsageError(
                f"{operation} returned at {operation.returned!r}, before its call at {operation.invoked!r}"
            )
    ordered.sort(key=lambda operation: operation.invoked)
    last: dict[Hashable, Operation] = {}
    for operation in ordered:
        before = last.get(operation.process)
        if before is not None and not before.pending and before.returned > operation.invoked:
            raise UsageError(f"the process {operation.process!r} called twice at once: {before} and {operation}")
        last[operation.process] = operation
    return ordered
