"""What a test has started and opened, as far as it has not ended: noted at birth, taken off the list at death."""

from __future__ import annotations

import threading
from typing import Any

from supertester._core.forking import free_in_children
from supertester.context import IsolationContext

__all__ = ["Births", "births_of"]

_lock = free_in_children(threading.Lock())
_ROOM = 16


class Births:
    """The list of one test; it grows with what lives at once, not with what ever lived.

    Attributes:
        threads: Those that have not ended.
        children: Child processes; those that have ended are swept out now and then.
        opened: Whether the test opened any file, socket or other descriptor.
        signals: What the handlers were of the signals whose handlers the test set, by number.
    """

    __slots__ = ("_room", "children", "opened", "signals", "threads")

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        self.children: list[Any] = []
        self.opened = False
        self.signals: dict[int, Any] = {}
        self._room = _ROOM

    def add_child(self, child: Any) -> None:
        """Take note of *child*, which knows whether it ``has_ended()``."""
        with _lock:
            if len(self.children) >= self._room:
                self.children = [each for each in self.children if not each.has_ended()]
                self._room = _ROOM + 2 * len(self.children)
            self.children.append(child)


def births_of(context: IsolationContext) -> Births:
    """Return the list of *context*, which only a test that starts or opens something has."""
    births = context.births
    if births is None:
        with _lock:
            births = context.births
            if births is None:
                context.births = births = Births()
    found: Births = births
    return found
