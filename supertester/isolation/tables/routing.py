"""`Table`: an object of the program, and which object stands for it in the running test."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from supertester.context import IsolationContext, current_context
from supertester.errors import UsageError
from supertester.isolation.identity import owner

__all__ = ["ClassAttribute", "Table", "View", "table_of", "views"]

_NOTHING: Any = object()


class View:
    """What one test sees in the place of tables. It does not hold the test: it lives as long as that does."""

    __slots__ = ("ended", "injected", "mirrors", "test_id")

    def __init__(self, test_id: str) -> None:
        self.test_id = test_id
        self.ended = False
        self.mirrors: dict[Table, Any] = {}
        self.injected: dict[Table, tuple[tuple[object, Any], ...]] = {}

    def seen(self, table: Table) -> Any:
        """Return what the test itself has in the place of *table*, or `_NOTHING`.

        Raises:
            UsageError: The test has ended, and had something else there than the program has.
        """
        injected = self.injected.get(table)
        if injected:
            return injected[-1][1]
        if table in self.mirrors:
            return self.mirrors[table]
        if self.ended and injected is not None:
            raise UsageError(
                f"test {self.test_id!r} has ended, and its {table.name} with it; the calling code was started by that "
                "test and still runs: let the test wait for it"
            )
        return _NOTHING


views: WeakKeyDictionary[IsolationContext, View] = WeakKeyDictionary()
"""The view of each test that has one."""


class Table:
    """An object of the program that tests may see another in the place of.

    Attributes:
        name: ``"module:NAME"``, as it was first asked for.
        source: The object itself, which is what everything sees that belongs to no test.
    """

    __slots__ = ("__weakref__", "name", "source")

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self.source = source

    def __repr__(self) -> str:
        return f"<table {self.name}>"

    def route(self) -> Any:
        """Return the object that the calling code has to work on."""
        # What an ended test left running belongs to it still: it must not work on the source.
        context = owner() or current_context.get()
        while context is not None:
            view = views.get(context)
            if view is not None and (seen := view.seen(self)) is not _NOTHING:
                return seen
            context = context.outer  # What a test has not for itself it shares with the one that it runs in.
        return self.source


class ClassAttribute(Table):
    """A table in the namespace of a class, for values of any type: it gives each test its own when it is read."""

    __slots__ = ()

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = self.route()
        bind = getattr(type(value), "__get__", None)
        return value if bind is None else bind(value, instance, cls)


def table_of(value: Any) -> Table | None:
    """Return the table that *value* stands in for, or ``None``."""
    if isinstance(value, ClassAttribute):
        return value
    table: Table | None = getattr(type(value), "_supertester_table", None)
    return table
