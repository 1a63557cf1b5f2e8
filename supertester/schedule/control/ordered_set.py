"""Sets of asyncio that are iterated in the order in which things were put into them."""

from __future__ import annotations

import asyncio.taskgroups
import asyncio.tasks
from collections.abc import Iterable, Iterator
from typing import Any

from supertester._core.exploring import current
from supertester._core.replacing import Undo

__all__ = ["OrderedSet", "install"]


class OrderedSet(set[Any]):
    """A set with an order of its own: that in which its members came.

    What C code does with it knows nothing of that order, as in ``a | b``.
    """

    __slots__ = ("_order",)

    def __init__(self, members: Iterable[Any] = ()) -> None:
        self._order = dict.fromkeys(members)
        super().__init__(self._order)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._order)

    def add(self, member: Any) -> None:
        super().add(member)
        self._order[member] = None

    def discard(self, member: Any) -> None:
        super().discard(member)
        self._order.pop(member, None)

    def remove(self, member: Any) -> None:
        super().remove(member)
        self._order.pop(member, None)

    def pop(self) -> Any:
        """Take out the oldest member."""
        for member in self._order:
            self.remove(member)
            return member
        return super().pop()

    def clear(self) -> None:
        super().clear()
        self._order.clear()

    def copy(self) -> OrderedSet:
        return OrderedSet(self._order)

    def update(self, *others: Iterable[Any]) -> None:
        for other in others:
            for member in other:
                self.add(member)

    def _keep_order(self) -> None:
        self._order = {member: None for member in [*self._order, *super().copy()] if member in self}

    def difference_update(self, *others: Iterable[Any]) -> None:
        super().difference_update(*others)
        self._keep_order()

    def intersection_update(self, *others: Iterable[Any]) -> None:
        super().intersection_update(*others)
        self._keep_order()

    def symmetric_difference_update(self, other: Iterable[Any]) -> None:
        super().symmetric_difference_update(other)
        self._keep_order()

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        self.difference_update(other)
        return self

    def __iand__(self, other: Any) -> Any:  # type: ignore[misc]
        self.intersection_update(other)
        return self

    def __ixor__(self, other: Any) -> Any:  # type: ignore[misc]
        self.symmetric_difference_update(other)
        return self

    def __reduce__(self) -> Any:
        return OrderedSet, (list(self._order),)


def _make_set(*members: Any) -> set[Any]:
    """Be ``set`` in modules of asyncio."""
    return set(*members) if current() is None else OrderedSet(*members)


def install() -> list[Undo]:
    """Let ``as_completed``, ``wait`` and `asyncio.TaskGroup` keep the order of their tasks."""
    return [_shadow(asyncio.tasks), _shadow(asyncio.taskgroups)]


def _shadow(module: Any) -> Undo:
    module.set = _make_set

    def undo() -> None:
        if vars(module).get("set") is _make_set:
            del module.set

    return undo
