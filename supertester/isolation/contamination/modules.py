"""Modules: which are there, and of the declared ones what their attributes, classes and containers hold."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from supertester.errors import UsageError
from supertester.isolation.contamination.difference import ABSENT, Difference, Resource, Since, same
from supertester.isolation.contamination.kinds import CONTAINERS, contents_differences, copied, each

__all__ = ["LOADED", "declared"]


# What is loaded -------------------------------------------------------------------------------------------------------


def _loaded() -> tuple[dict[str, Any], frozenset[str]]:
    return dict(sys.modules), frozenset(map(str, sys.path))


def _loaded_differences(before: tuple[dict[str, Any], frozenset[str]], since: Since) -> Iterator[Difference]:
    modules, path = before
    now = dict(sys.modules)
    for name in {**modules, **now}:
        was, after = modules.get(name, ABSENT), now.get(name, ABSENT)
        if was is not after and not (was is ABSENT and _is_imported(name, after, modules, path)):
            yield Difference.of(f"sys.modules[{name!r}]", was, after, partial(_put_module, name, was))


def _is_imported(name: str, module: Any, before: Mapping[str, Any], path: frozenset[str]) -> bool:
    """Say whether *module* is there because it was imported, and would be the same for any other test.

    It is not if somebody put it there by hand, or if it was found by a path that the test itself added.
    """
    package = name.rpartition(".")[0]
    if package and package not in before and package in sys.modules:
        return _is_imported(package, sys.modules[package], before, path)  # Which may make such modules itself.
    spec = getattr(module, "__spec__", None)
    if name == "__mp_main__" or not isinstance(module, ModuleType) or getattr(spec, "name", None) != name:
        return name == "__mp_main__"
    origin = getattr(spec, "origin", None)
    added = [entry for entry in map(str, sys.path) if entry not in path and entry]
    return not (isinstance(origin, str) and any(origin.startswith(entry) for entry in added))


def _put_module(name: str, module: Any) -> None:
    if module is ABSENT:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


LOADED = Resource("sys.modules", _loaded, _loaded_differences)


# What a declared module holds -----------------------------------------------------------------------------------------

_OF_PYTHON = frozenset({"__warningregistry__", "__builtins__", "__annotations__", "__dict__", "__weakref__"})
"""Attributes that Python itself sets."""


def declared(name: str) -> list[Resource]:
    """Return the resources of a module that the test class declares.

    Raises:
        UsageError: It cannot be imported.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"contamination={[name]!r}: the module cannot be imported: {error}") from error
    holders = {name: module, **{f"{name}.{key}": value for key, value in _classes(module)}}
    return [
        *(
            each(
                what,
                partial(_attributes, holder),
                partial(_put_attribute, holder),
                f"{what}.{{}}".format,
                alike=_is_same_object,
            )
            for what, holder in holders.items()
        ),
        Resource(f"tables of {name}", partial(_tables, holders), _table_differences),
    ]


def _classes(module: ModuleType) -> list[tuple[str, type]]:
    return [
        (name, value)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]


def _attributes(holder: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(holder).items()
        if name not in _OF_PYTHON and not name.startswith("_abc_") and not isinstance(value, ModuleType)
    }


def _is_same_object(before: Any, after: Any) -> bool:
    """Say whether an attribute still is what it was: a table that was replaced by an equal one is another."""
    return same(before, after) and (before is after or not isinstance(before, CONTAINERS))


def _put_attribute(holder: Any, name: str, value: Any) -> None:
    if value is ABSENT:
        delattr(holder, name)
    else:
        setattr(holder, name, value)


# A table is compared as deep as it consists of containers, each by itself: restoring keeps every object. -------------


def _tables(holders: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    seen: set[int] = set()
    for what, holder in holders.items():
        for name, value in list(vars(holder).items()):
            if name not in _OF_PYTHON and not name.startswith("__"):
                _collect(f"{what}.{name}", value, found, seen)
    return found


def _collect(what: str, value: Any, found: list[tuple[str, Any, Any]], seen: set[int]) -> None:
    """Add to *found* the containers that *value* consists of, with their names and contents."""
    waiting = [(what, value)]
    while waiting:
        name, each_ = waiting.pop()
        if id(each_) in seen or not isinstance(each_, (*CONTAINERS, tuple)):
            continue
        seen.add(id(each_))
        if isinstance(each_, CONTAINERS):
            found.append((name, each_, copied(each_)))
        if isinstance(each_, dict):
            waiting += [(f"{name}[{key!r}]", inner) for key, inner in each_.items() if isinstance(inner, _NESTING)]
        elif not isinstance(each_, (bytearray, set)):
            waiting += [(f"{name}[{n}]", inner) for n, inner in enumerate(each_) if isinstance(inner, _NESTING)]


_NESTING = (*CONTAINERS, tuple)


def _table_differences(before: list[tuple[str, Any, Any]], since: Since) -> Iterator[Difference]:
    for what, container, was in before:
        yield from contents_differences(what, container, was, since)
