"""References: ``"module:NAME"`` and ``"module:Class.attr"``."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable
from typing import Any

from supertester._core.naming import describe
from supertester.errors import Unsupported, UsageError

__all__ = ["checked_refs", "get_attribute", "name_of", "resolve", "resolve_holder"]

_CLOSE = 0.8
"""How much alike the names of modules must be: there are so many that one is always a little like any word."""
_REMEDIES = {
    "sys": "Python itself reads it, past any stand-in",
    "builtins": "Python itself reads it, past any stand-in",
    "os:environ": "self.environment gives a test its own",
}


def checked_refs(setting: Any, where: str = "tables") -> list[str]:
    """Return the references that a class keyword or a tag lists.

    Raises:
        TypeError: It lists something else.
        UsageError: One is no reference.
    """
    if setting is None or isinstance(setting, bool):
        return []
    refs = [setting] if isinstance(setting, str) else setting
    if not isinstance(refs, (list, tuple)):
        raise TypeError(f"{where} must be a list of references such as 'myapp.store:SESSIONS', got {setting!r}")
    for ref in refs:
        split(ref)
    return list(refs)


def split(ref: Any) -> tuple[str, list[str]]:
    """Return the module and the attributes that *ref* names."""
    if not isinstance(ref, str):
        raise TypeError(f"a table is named by a string such as 'myapp.store:SESSIONS', got {ref!r}")
    module, colon, path = ref.partition(":")
    names = path.split(".")
    if colon and module and all(name.isidentifier() for name in names):
        return module, names
    before, dot, last = ref.rpartition(".")
    hint = f"did you mean {f'{before}:{last}'!r}?" if dot and not colon else "as in 'myapp.store:SESSIONS'"
    raise UsageError(f"{ref!r} names no table: give the module, a colon and the attribute, {hint}")


def resolve(ref: str) -> tuple[Any, str, Any]:
    """Return what holds the object that *ref* names, the last attribute, and the object.

    Raises:
        UsageError: There is no such module or attribute.
        Unsupported: No stand-in can take its place.
    """
    module, names = split(ref)
    if remedy := _REMEDIES.get(module) or _REMEDIES.get(ref):
        raise Unsupported(f"{ref!r} cannot be a table: {remedy}")
    value, holder = _imported(module), None
    for name in names:
        holder, value = value, get_attribute(value, name)
    return holder, names[-1], value


def resolve_holder(target: Any) -> Any:
    """Return the module, class or object that *target* is, or that it names."""
    if not isinstance(target, str):
        return target
    return resolve(target)[2] if ":" in target else _imported(target)


def _imported(module: str) -> Any:
    if (found := sys.modules.get(module)) is not None:
        return found
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # The module is there; what it imports is not.
        raise UsageError(f"there is no module {module!r}{_did_you_mean(module, sys.modules, _CLOSE)}") from error


def get_attribute(holder: Any, name: str) -> Any:
    """Return an attribute.

    Raises:
        UsageError: There is none; the message has the names that come close.
    """
    try:
        return getattr(holder, name)
    except AttributeError:
        hint = _did_you_mean(name, dir(holder))
        raise UsageError(f"{name_of(holder)} has no attribute {name!r}{hint}") from None


def name_of(holder: Any) -> str:
    """Return what a reader would call *holder*."""
    return getattr(holder, "__name__", None) or describe(holder)


def _did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, list(known), 3, cutoff)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else "; check its spelling"
