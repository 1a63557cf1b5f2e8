"""`Tables`: what a test does with tables, as ``self.tables``."""

from __future__ import annotations

import copy
import difflib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from supertester._core.naming import describe, unique_name
from supertester.context import IsolationContext, Problem
from supertester.errors import UsageError
from supertester.isolation.tables import refs
from supertester.isolation.tables.copies import copy_of
from supertester.isolation.tables.injection import Restore, replace_for_process
from supertester.isolation.tables.routes import count_strays, route_attribute, route_object
from supertester.isolation.tables.routing import Table, View, table_of, views
from supertester.telemetry import emit

__all__ = ["Tables", "tables_of"]

_KINDS: dict[str, type] = {"dict": dict, "list": list, "set": set}
_SCOPES = ("test", "process")


class Tables:
    """The tables of one test: shared objects of the program, of which the test sees copies of its own.

    A table is named by ``"module:NAME"`` or ``"module:Class.attr"``. It is a container (of the standard library or your
    own), a function with an ``lru_cache``, or any other object with a state, such as a registry.
    """

    def __init__(self, context: IsolationContext) -> None:
        self._context = context
        self._lock = threading.RLock()
        self._created: dict[str, Any] = {}
        self._had_data: dict[Table, bool] = {}
        self._open: dict[Restore, str] = {}
        self._view = View(context.test_id)

    # Tables of the test alone ------------------------------------------------------------------------------------

    @property
    def created(self) -> Mapping[str, Any]:
        """The tables that `create` made, by name."""
        return MappingProxyType(self._created)

    def create(self, kind: str = "dict", name: str | None = None, copy_from: Any = None) -> Any:
        """Make a container that belongs to the test.

        Args:
            kind: ``"dict"``, ``"list"`` or ``"set"``.
            name: What `created` and the summary of the test call it; by default a name that nothing else has.
            copy_from: A container, or a reference to one, whose items it gets copies of.

        Raises:
            UsageError: There is no such kind, the name is taken, or the items do not fit.

        Example::

            prices = self.tables.create("dict", name="prices", copy_from="shop.catalogue:PRICES")
        """
        make = _KINDS.get(str(kind))
        if make is None:
            close = difflib.get_close_matches(str(kind), _KINDS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the kinds are {', '.join(_KINDS)}"
            raise UsageError(f"there is no kind of tables {kind!r}; {hint}")
        table = _filled(make, copy_from)
        with self._lock:
            name = unique_name("table", kind) if name is None else name
            if name in self._created:
                raise UsageError(f"this test has a table named {name!r} already; choose another name")
            self._check_running(f"create({kind!r})")
            self._created[name] = table
        emit("ets.table.created", {}, {"table": name, "type": kind})
        return table

    @contextmanager
    def with_table(self, kind: str = "dict", name: str | None = None, copy_from: Any = None) -> Iterator[Any]:
        """Make a table, see `create`, for the body of a ``with``.

        Example::

            with self.tables.with_table("list") as seen:
                ...
        """
        name = unique_name("table", kind) if name is None else name
        table = self.create(kind, name, copy_from)
        try:
            yield table
        finally:
            with self._lock:
                found = self._created.pop(name, None)
            if found is not None:
                emit("ets.table.deleted", {}, {"table": name})

    # Tables of the program ---------------------------------------------------------------------------------------

    def mirror(self, ref: str, include_data: bool = False) -> Any:  # noqa: FBT001, FBT002 - the contract's signature
        """Let this test see a copy of a table; return the copy.

        All the code that belongs to the test sees it, whatever the table is called there. Other tests, and code that
        belongs to none, do not. Mirroring it again returns the same copy.

        Args:
            ref: ``"module:NAME"`` or ``"module:Class.attr"``.
            include_data: Whether the copy begins with deep copies of the table's items, or empty.

        Raises:
            UsageError: There is no such table; it is mirrored with another *include_data*; or it cannot be copied.
            Unsupported: It is no table, such as a number or a class, or no stand-in can take its place.
            TypeError: *ref* is no string, or *include_data* no bool.

        Example::

            sessions = self.tables.mirror("myapp.store:SESSIONS")
            login("ada")
            self.assertIn("ada", sessions)
        """
        if include_data not in (True, False):
            raise TypeError(f"include_data must be True or False, got include_data={include_data!r}")
        with self._lock:
            self._check_running(f"mirror({ref!r})")
            table = table_of(refs.resolve(ref)[2])
            if table is not None and table in self._had_data:
                return self._same_mirror(table, ref, include_data=include_data)
            mirror = copy_of(_source(ref), ref, include_data=include_data)
            table = route_object(ref)
            self._view.injected.setdefault(table, ())
            self._view.mirrors[table] = mirror
            self._had_data[table] = include_data
            views[self._context] = self._view
        emit("ets.table.mirrored", {"row_count": _rows(mirror)}, {"source": ref, "mirror": describe(type(mirror))})
        return mirror

    def _same_mirror(self, table: Table, ref: str, *, include_data: bool) -> Any:
        had_data = self._had_data[table]
        if had_data != include_data:
            raise UsageError(
                f"{ref} is mirrored in this test with include_data={had_data}, which cannot become {include_data}; "
                "mirror it once, before it is used"
            )
        return self._view.mirrors[table]

    def mirror_of(self, ref: str) -> Any:
        """Return the copy of a table that `mirror`, the class or a tag of the test made.

        Raises:
            UsageError: There is no such table, or this test does not mirror it.
            TypeError: *ref* is no string.
        """
        table = table_of(refs.resolve(ref)[2])
        if table is None or table not in self._view.mirrors:
            known = ", ".join(table.name for table in self._view.mirrors) or "none"
            raise UsageError(f"{ref} is not mirrored in this test (mirrored: {known}); call mirror({ref!r}) first")
        return self._view.mirrors[table]

    def inject(self, target: Any, attribute: str, replacement: Any, *, scope: str = "test") -> Restore:
        """Let this test see *replacement* in the place of an attribute, until it is restored.

        At the end of the test it is restored anyway. Injections of one attribute may be restored in any order: the
        last one that is left is seen.

        A container, or an object of a class that is not the standard library's, is replaced wherever the program holds
        it; a function, or any other object, in this attribute alone.

        Args:
            target: A module, a class, an object, or a reference to one, ``"module"`` or ``"module:Class"``.
            attribute: What to replace there; it has to exist.
            replacement: What to see instead.
            scope: ``"test"``: only the code of this test sees it. ``"process"``: all code of the process does.

        Returns:
            What restores it, once, from any thread; also usable in a ``with``.

        Raises:
            UsageError: There is no such attribute.
            Unsupported: The code of one test alone cannot see another value there, as in a module's global number.

        Example::

            restore = self.tables.inject("myapp.store", "SESSIONS", {"ada": 1})
        """
        if scope not in _SCOPES:
            raise UsageError(f"scope must be one of {', '.join(_SCOPES)}, got {scope!r}")
        holder = refs.resolve_holder(target)
        if (mirrored := table_of(holder)) is not None:
            holder = mirrored.route()
        refs.get_attribute(holder, attribute)
        name = f"{refs.name_of(holder)}:{attribute}" if not isinstance(target, str) else _joined(target, attribute)
        with self._lock:
            self._check_running(f"inject({name!r})")
            if scope == "process":
                undo = replace_for_process(holder, attribute, replacement)
            else:
                undo = self._put(route_attribute(holder, attribute, name), replacement)
            restore = Restore(lambda: self._take_out(restore, undo))
            self._open[restore] = f"{name} ({scope})"
        emit("ets.table.injected", {}, {"module": name, "attribute": attribute, "table": describe(type(replacement))})
        return restore

    def _put(self, table: Table, replacement: Any) -> Callable[[], None]:
        token = object()
        if table_of(replacement) is table:
            replacement = table.route()  # The stand-in would ask for itself for ever.
        injected = self._view.injected
        injected[table] = (*injected.get(table, ()), (token, replacement))
        views[self._context] = self._view

        def undo() -> None:
            with self._lock:
                injected[table] = tuple([each for each in injected[table] if each[0] is not token])

        return undo

    def _take_out(self, restore: Restore, undo: Callable[[], None]) -> None:
        undo()
        with self._lock:
            self._open.pop(restore, None)

    def _check_running(self, what: str) -> None:
        if self._view.ended:
            raise UsageError(f"test {self._context.test_id!r} has ended; {what} would have no effect")

    # The end -----------------------------------------------------------------------------------------------------

    def summary(self) -> list[str]:
        """Return a line for each table of the test."""
        return [
            *(f"table {name} ({describe(type(table))})" for name, table in self._created.items()),
            *(f"mirror of {table.name} ({_rows(mirror)} rows)" for table, mirror in self._view.mirrors.items()),
            *(f"injection into {where}" for where in self._open.values()),
        ]

    def end(self) -> None:
        """Restore what is injected, newest first, and give up all tables."""
        for restore in reversed(list(self._open)):
            restore()
        with self._lock:
            self._view.ended = True
            names = [*self._created, *(table.name for table in self._view.mirrors)]
            self._report_strays()
            self._created.clear()
            self._view.mirrors.clear()
            self._had_data.clear()
        for name in names:
            emit("ets.table.deleted", {}, {"table": name})
        emit("ets.cleanup.complete", {"tables_deleted": len(names)}, {})

    def _report_strays(self) -> None:
        for table in self._view.injected:
            if count := count_strays(table):
                message = (
                    f"something wrote {count} items of {table.name} past the methods of its type, as heapq does; no "
                    "test can have its own table then: use a class with methods around it"
                )
                self._context.report(Problem("table", message))


def _source(ref: str) -> Any:
    value = refs.resolve(ref)[2]
    table = table_of(value)
    return value if table is None else table.source


def _joined(target: str, attribute: str) -> str:
    return f"{target}.{attribute}" if ":" in target else f"{target}:{attribute}"


def _filled(make: type, copy_from: Any) -> Any:
    if copy_from is None:
        return make()
    source = refs.resolve(copy_from)[2] if isinstance(copy_from, str) else copy_from
    try:
        return make(copy.deepcopy(source))
    except (TypeError, ValueError) as error:
        raise UsageError(f"a {make.__name__} cannot be made of copy_from={copy_from!r}: {error}") from error


def _rows(mirror: Any) -> int:
    return len(mirror) if hasattr(type(mirror), "__len__") else 0


@contextmanager
def tables_of(context: IsolationContext, setting: Any) -> Iterator[Tables]:
    """Give a test its tables, those mirrored that its class and its tag list."""
    handle = Tables(context)
    emit("ets.isolation.setup", {}, {})
    try:
        for ref in [*refs.checked_refs(setting), *refs.checked_refs(context.tags.get("tables"), "@tag(tables=...)")]:
            handle.mirror(ref)
        yield handle
    finally:
        handle.end()
