"""Histories: what concurrent callers asked of an object, when, and what it answered."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple

from supertester._core.evidence import shown
from supertester.errors import UsageError

__all__ = ["PENDING", "History", "Operation"]

PENDING: Final = float("inf")
"""When an operation returned that never did: it may have had its effect at any time since it was called, or never."""


class Operation(NamedTuple):
    """One call of an object."""

    process: Hashable
    """Who called; one caller does one thing after the other."""
    name: str
    """What was called, e.g. ``"enqueue"``."""
    args: tuple[Any, ...] = ()
    """With which arguments."""
    result: Any = None
    """What came back; without meaning while it is pending."""
    invoked: float = 0
    """When it was called, on any clock that all calls share."""
    returned: float = PENDING
    """When it returned, or `PENDING`."""

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
    if not set(map(type, ordered)).issubset({Operation}):
        for each in ordered:
            if not isinstance(each, Operation):
                raise TypeError(f"a history consists of Operation(process, name, args, result, ...), got {each!r}")
    ordered.sort(key=attrgetter("invoked"))
    busy_until: dict[Hashable, float] = defaultdict(_long_ago)
    for process, _, _, _, invoked, returned in ordered:
        if not returned >= invoked:
            raise _returned_too_soon(ordered)
        # After an operation that never returned a process may go on: it is given up.
        if busy_until[process] > invoked and busy_until[process] != PENDING:
            raise _two_at_once(ordered, process)
        busy_until[process] = returned
    return ordered


def _long_ago() -> float:
    return -PENDING


def _returned_too_soon(ordered: list[Operation]) -> UsageError:
    each = next(each for each in ordered if not each.returned >= each.invoked)
    return UsageError(f"{each} returned at {each.returned!r}, before its call at {each.invoked!r}")


def _two_at_once(ordered: list[Operation], process: Hashable) -> UsageError:
    calls = [each for each in ordered if each.process == process]
    one, other = next(
        (one, other) for one, other in pairwise(calls) if not one.pending and one.returned > other.invoked
    )
    return UsageError(f"the process {process!r} called twice at once: {one} and {other}")
