"""`dataclass`: that of the standard library for values, made in a third of the time.

That one writes and compiles source for each method of each class. Here only ``__init__`` is compiled, because it is
called often; classes share the rest. It matters where a command waits for a dozen of classes before it can begin.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from collections.abc import Callable
    from dataclasses import dataclass as _dataclass

    def dataclass(*, frozen: bool, kw_only: bool) -> Callable[[type], type]:
        """Return what makes a class one of values, which cannot be changed, are compared by fields, and show them.

        >>> @dataclass(frozen=True, kw_only=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(x=1), Point(x=1) == Point(x=1, y=0)
        (Point(x=1, y=0), True)
        """

        def make(cls: type) -> type:
            for method in (__setattr__, __delattr__, __eq__, __hash__, __repr__):
                setattr(cls, method.__name__, method)
            return _dataclass(cls, kw_only=kw_only, eq=False, repr=False)

        assert frozen, "a value cannot be changed"
        return make


def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 - it becomes a method of classes
    if name in self.__dict__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def __delattr__(self: Any, name: str) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def __eq__(self: Any, other: object) -> bool:  # noqa: N807
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def __hash__(self: Any) -> int:  # noqa: N807
    return hash(_compared(self))


def __repr__(self: Any) -> str:  # noqa: N807
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, each.name) for each in fields(value) if each.compare)
