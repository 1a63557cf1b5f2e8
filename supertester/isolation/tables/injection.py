"""Injections: something else in the place of an attribute, until it is restored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from supertester._core.forking import free_in_children

__all__ = ["Restore", "replace_for_process"]

_lock = free_in_children(threading.Lock())
_MISSING: Any = object()


class Restore:
    """Undoes an injection when called, once; also a context manager whose end does.

    It can be called from any thread, and as often as one likes.
    """

    __slots__ = ("_lock", "_undo")

    def __init__(self, undo: Callable[[], object]) -> None:
        self._undo: Callable[[], object] | None = undo
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        """Undo the injection; return ``False`` if that was done before."""
        with self._lock:
            undo, self._undo = self._undo, None
        if undo is None:
            return False
        undo()
        return True

    def __enter__(self) -> Restore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()


class _Replaced:
    """An attribute and what was put there: the last replacement that is not undone is the one to be seen."""

    def __init__(self, holder: Any, name: str) -> None:
        self.holder = holder
        self.name = name
        # A class may hold something else than it gives, and inherit what it does not hold.
        self.original = getattr(holder, "__dict__", {}).get(name, _MISSING)
        self.is_inherited = self.original is _MISSING and hasattr(holder, "__dict__")
        if self.original is _MISSING:
            self.original = getattr(holder, name)
        self.layers: list[tuple[object, Any]] = []

    def show(self) -> None:
        if self.layers:
            setattr(self.holder, self.name, self.layers[-1][1])
        elif self.is_inherited:
            delattr(self.holder, self.name)
        else:
            setattr(self.holder, self.name, self.original)


_replaced: dict[tuple[int, str], _Replaced] = {}
"""The attributes that are replaced at the moment; each holds its holder, so that no other can get its id."""


def replace_for_process(holder: Any, name: str, replacement: Any) -> Callable[[], None]:
    """Set an attribute for everybody; return what undoes it, in any order with other replacements of the same."""
    key, token = (id(holder), name), object()
    with _lock:
        place = _replaced.get(key) or _Replaced(holder, name)
        place.layers.append((token, replacement))
        try:
            place.show()
        except BaseException:
            place.layers.pop()
            raise
        _replaced[key] = place

    def undo() -> None:
        with _lock:
            place.layers[:] = [layer for layer in place.layers if layer[0] is not token]
            if not place.layers:
                del _replaced[key]
            place.show()

    return undo
