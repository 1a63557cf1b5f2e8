"""`Difference`: one thing that a test changed in its process, and how to undo it; and what is no such change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from supertester._core.origin import is_foreign
from supertester.context import IsolationContext
from supertester.isolation.contamination.showing import shown_with_origin
from supertester.isolation.hooks import without_ours

__all__ = ["ABSENT", "CannotRestore", "Difference", "Resource", "Since", "same"]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""Stands for what is not there."""


class CannotRestore(Exception):
    """There is no way to undo a change; the message says why."""


@dataclass(frozen=True)
class Difference:
    """One thing that a test changed.

    Attributes:
        what: Its name, as a user would write it, e.g. ``os.environ['HOME']``.
        before: What it was at the beginning of the test, as text.
        after: What it is now, as text, and where that comes from as far as it is known.
        undo: Makes it what it was; raises `CannotRestore` where there is no way.
        details: For containers, what was added and removed, a line each.
    """

    what: str
    before: str
    after: str
    undo: Callable[[], object] = field(repr=False, compare=False)
    details: str = ""

    @classmethod
    def of(cls, what: str, before: Any, after: Any, undo: Callable[[], object], details: str = "") -> Difference:
        """Return the difference between two values."""
        return cls(what, shown_with_origin(before), shown_with_origin(after), undo, details)


@dataclass(frozen=True)
class Since:
    """What happened since the beginning of a test that explains changes for which the test is not to blame."""

    context: IsolationContext
    imported: frozenset[str]
    """The modules that were imported for the first time."""

    def tolerates(self, before: Any, after: Any) -> bool:
        """Say whether *after* in place of *before* is no contamination.

        The library's own hooks are none. And what a module registers when it is imported, any other test would have
        got too, had it been the first to import it.
        """
        if is_ours(after) or (before is ABSENT and self.came_with_import(after)):
            return True
        if not is_ours(before):
            return False
        # Taken out by `uninstall`, be it a hook or what a function was wrapped in.
        return any(after is each for each in (ABSENT, without_ours(before), getattr(before, "__wrapped__", before)))

    def came_with_import(self, value: Any) -> bool:
        """Say whether a module that was imported since defines *value*, or its class."""
        for each in (value, type(value)):
            module = getattr(each, "__module__", None)
            if isinstance(module, str) and module in self.imported:
                return True
        return False


@dataclass(frozen=True)
class Resource:
    """A kind of process-global state.

    Attributes:
        name: What it is called.
        take: Returns what it is now, in a form that does not change with it.
        differences: ``differences(before, since)`` yields what differs now from *before*, which *take* returned.
    """

    name: str
    take: Callable[[], Any]
    differences: Callable[[Any, Since], Iterator[Difference]]


def same(before: Any, after: Any) -> bool:
    """Say whether two values are the same, or equal values of one class."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    try:
        return bool(before == after)
    except Exception:  # noqa: BLE001 - of the user's class; arrays e.g. have no truth
        return False


def is_ours(value: Any) -> bool:
    """Say whether *value* is something that this library puts into the process.

    >>> is_ours(is_ours), is_ours(functools.partial(is_ours)), is_ours(print)
    (True, True, False)
    """
    while isinstance(value, functools.partial):
        value = value.func
    module = f"{type(value).__module__}."
    if module.startswith("supertester."):
        return value is not ABSENT and not module.startswith(_OF_USERS)
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    return code is not None and is_foreign(code.co_filename) and code.co_filename.startswith(_PACKAGE)


_PACKAGE = __file__.partition("isolation")[0]
_OF_USERS = ("supertester.otp.", "supertester.targets.")
"""Processes and servers: where these stay, a test has put them."""
