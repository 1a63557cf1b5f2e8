"""Routes: what the library has put into the program in the place of tables, once per table and process."""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from typing import Any

from supertester._core.forking import free_in_children
from supertester.errors import Unsupported
from supertester.isolation.installed import Undo, install_once
from supertester.isolation.tables.copies import CACHED, NATIVE, is_routable
from supertester.isolation.tables.places import replace_all_everywhere, replace_everywhere
from supertester.isolation.tables.refs import name_of, resolve
from supertester.isolation.tables.routing import ClassAttribute, Table, table_of
from supertester.isolation.tables.standin import make_standin, take_strays

__all__ = ["count_strays", "raw_attribute", "route_attribute", "route_object"]

_lock = free_in_children(threading.RLock())
_standins: weakref.WeakValueDictionary[Table, Any] = weakref.WeakValueDictionary()
"""The stand-ins of tables. One that the program has dropped, as by reloading its module, is gone."""
_attributes: list[tuple[weakref.ref[type], str, ClassAttribute]] = []


def route_object(ref: str) -> Table:
    """Return the table that *ref* names, for which everything from now on goes through a stand-in.

    Raises:
        UsageError: There is no such object.
        Unsupported: No stand-in can take its place.
    """
    install_once(_install)
    with _lock:
        holder, name, value = resolve(ref)
        return table_of(value) or _replace_all(holder, name, value, ref)


def _replace_all(holder: Any, name: str, value: Any, ref: str) -> Table:
    table = _known(value) or Table(ref, value)
    standin = _standins.get(table)
    if standin is None:
        standin = _standins[table] = make_standin(table)
    left = replace_everywhere(value, standin)
    if getattr(holder, name) is not standin:
        replace_everywhere(standin, value)
        raise Unsupported(
            f"{ref} cannot be routed, because {name_of(holder)} does not hold it in an attribute of its own"
        )
    if left:
        warnings.warn(
            f"{ref} is also held by {'; '.join(left)}. What works through these sees the original in every test: "
            "make them look it up when they need it, or let them be made after the table is mirrored",
            UserWarning,
            stacklevel=4,
        )
    return table


def _known(value: Any) -> Table | None:
    for table in list(_standins):
        if table.source is value:
            return table
    return None


def route_attribute(holder: Any, name: str, ref: str) -> Table:
    """Return the table of an attribute, which may be a function or, of a class, anything.

    What belongs to the program is routed wherever the program holds it. What others hold too, such as functions and the
    objects of the standard library, is routed in this one attribute.

    Raises:
        Unsupported: A test alone cannot have another value there.
    """
    install_once(_install)
    with _lock:
        value = raw_attribute(holder, name)
        if (table := table_of(value)) is not None:
            return table
        if _is_the_programs(value):
            return _replace_all(holder, name, value, ref)
        return _replace_one(holder, name, value, ref)


def _is_the_programs(value: Any) -> bool:
    if isinstance(value, (*NATIVE, CACHED)):
        return True
    home = type(value).__module__.partition(".")[0]
    return is_routable(value) and home not in sys.stdlib_module_names


def _replace_one(holder: Any, name: str, value: Any, ref: str) -> Table:
    if isinstance(holder, type):
        attribute = ClassAttribute(ref, value)
        _attributes[:] = [each for each in _attributes if each[0]() is not None]
        type.__setattr__(holder, name, attribute)
        _attributes.append((weakref.ref(holder), name, attribute))
        return attribute
    if not is_routable(value):
        raise Unsupported(
            f"{ref} is {value!r}: what reads a value of type {type(value).__name__} cannot be told whose it is to see; "
            "make it an attribute of a class, or use scope='process' and let the test run alone"
        )
    table = Table(ref, value)
    standin = _standins[table] = make_standin(table)
    setattr(holder, name, standin)
    return table


def raw_attribute(holder: Any, name: str) -> Any:
    """Return the attribute as *holder* has it, of a class without binding it.

    Raises:
        Unsupported: A class that only inherits it, or a property.
    """
    if not isinstance(holder, type):
        return getattr(holder, name)
    if name not in vars(holder):
        base = next((base for base in holder.__mro__ if name in vars(base)), type(holder))
        raise Unsupported(
            f"{name_of(holder)} inherits {name!r} from {name_of(base)}; inject into that, or use scope='process'"
        )
    value = vars(holder)[name]
    if hasattr(type(value), "__set__") and table_of(value) is None:
        raise Unsupported(f"{name_of(holder)}.{name} is a {type(value).__name__}; use scope='process'")
    return value


def count_strays(table: Table) -> int:
    """Return how many items C code has put into the stand-in itself, and remove them."""
    standin = _standins.get(table)
    return 0 if standin is None else take_strays(standin)


def _install() -> Undo:
    return _put_back


def _put_back() -> None:
    with _lock:
        pairs = list(_standins.items())
        standins, sources = tuple(standin for _, standin in pairs), tuple(table.source for table, _ in pairs)
        del pairs  # It holds the stand-ins too, but need not be looked at.
        replace_all_everywhere(standins, sources)
        for cls_of, name, attribute in _attributes:
            cls = cls_of()
            if cls is not None and vars(cls).get(name) is attribute:
                type.__setattr__(cls, name, attribute.source)
        _attributes.clear()
        _standins.clear()
