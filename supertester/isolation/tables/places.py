"""Places: wherever the program holds an object, found by identity, and what is put there instead."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import types
from typing import Any

from supertester._core.naming import describe
from supertester.isolation.tables.routing import Table

__all__ = ["replace_all_everywhere", "replace_everywhere"]

# No function here may hold the objects in a closure: its own cell would be one of the places.


def replace_everywhere(old: Any, new: Any) -> list[str]:
    """Put *new* wherever the program holds *old*; return, as text, who holds it where nothing can be put.

    Attributes of modules, classes and objects, values of dicts, items of lists, closures and defaults of arguments are
    replaced. Tuples, keys, bound methods and the variables of suspended functions cannot be. Variables of running plain
    functions are not even seen.
    """
    return replace_all_everywhere((old,), (new,))


def replace_all_everywhere(olds: tuple[Any, ...], news: tuple[Any, ...]) -> list[str]:
    """Do `replace_everywhere` for each of *olds* and *news*, but look at all that the process holds only once.

    One look takes tens of milliseconds in a large program, and another tells whose namespaces and defaults were found.
    """
    if not olds:
        return []
    numbers = {id(old): number for number, old in enumerate(olds)}
    for module in list(sys.modules.values()):
        namespace = getattr(module, "__dict__", None)
        if isinstance(namespace, dict):
            for number in _held(list(dict.values(namespace)), numbers):
                _replace_values(namespace, olds[number], news[number])
    holders = [each for each in gc.get_referrers(*olds) if each is not olds and not _is_left_alone(each)]
    owners = _owners(holders)
    left: list[str] = []
    for holder in holders:
        held = _held(gc.get_referents(holder), numbers)
        if isinstance(holder, tuple) and _replace_in_defaults(
            holder, [(olds[each], news[each]) for each in held], owners
        ):
            continue
        missed = [each for each in held if not _replace_in(holder, olds[each], news[each], owners)]
        left += [_describe_holder(holder, olds[each]) for each in missed]
    return left


def _held(values: list[Any], numbers: dict[int, int]) -> list[int]:
    """Return the numbers of those objects that are among *values*, each once.

    They are in a list because Python may run code here, and with it other threads: ``id`` tells audit hooks.
    """
    return sorted(numbers[each] for each in numbers.keys() & set(map(id, values)))


def _owners(holders: list[Any]) -> list[Any]:
    """Return the classes and functions of which any of *holders* may be the namespace or the defaults."""
    parts = [
        each
        for each in holders
        if isinstance(each, tuple) or (isinstance(each, dict) and dict.__contains__(each, "__module__"))
    ]
    found = gc.get_referrers(*parts) if parts else []
    return [each for each in found if isinstance(each, (type, types.FunctionType))]


def _is_left_alone(holder: Any) -> bool:
    # A patch has to put back what it found into the object where it found it.
    kind = type(holder)
    is_patch = kind.__module__ == "unittest.mock" and kind.__name__.startswith("_patch")
    return is_patch or isinstance(holder, (Table, types.FrameType))


def _replace_in(holder: Any, old: Any, new: Any, owners: list[Any]) -> bool:
    if isinstance(holder, dict):
        return _replace_in_namespace(holder, old, new, owners) or _replace_values(holder, old, new)
    if isinstance(holder, list):
        return _replace_items(holder, old, new)
    if isinstance(holder, types.CellType):
        holder.cell_contents = new
        return True
    return not isinstance(holder, tuple) and _replace_attributes(holder, old, new)


def _replace_values(holder: dict[Any, Any], old: Any, new: Any) -> bool:
    found = False
    for name, value in list(dict.items(holder)):
        if value is old:
            dict.__setitem__(holder, name, new)
            found = True
    return found


def _replace_in_namespace(holder: dict[Any, Any], old: Any, new: Any, owners: list[Any]) -> bool:
    """Replace in the namespace of a class, which has caches that have to learn of it."""
    if "__module__" not in holder:
        return False
    found = False
    for cls in owners:
        if isinstance(cls, type) and any(each is holder for each in gc.get_referents(cls)):
            for name, value in list(vars(cls).items()):
                if value is old:
                    type.__setattr__(cls, name, new)
                    found = True
    return found


def _replace_items(holder: list[Any], old: Any, new: Any) -> bool:
    found = False
    for index in range(list.__len__(holder)):
        if list.__getitem__(holder, index) is old:
            list.__setitem__(holder, index, new)
            found = True
    return found


def _replace_in_defaults(holder: tuple[Any, ...], pairs: list[tuple[Any, Any]], owners: list[Any]) -> bool:
    values = list(holder)
    for old, new in pairs:
        _replace_items(values, old, new)
    functions = [each for each in owners if isinstance(each, types.FunctionType) and each.__defaults__ is holder]
    for function in functions:
        function.__defaults__ = tuple(values)
    return bool(functions)


def _replace_attributes(holder: Any, old: Any, new: Any) -> bool:
    """Replace in an object that holds its attributes itself, in slots or inline."""
    found = False
    with contextlib.suppress(AttributeError, TypeError):  # It may have slots only.
        found = _replace_values(object.__getattribute__(holder, "__dict__"), old, new)
    for cls in type(holder).__mro__:
        for member in list(vars(cls).values()):
            if isinstance(member, types.MemberDescriptorType):
                with contextlib.suppress(AttributeError, TypeError):  # It may be empty, or refuse to be set.
                    if member.__get__(holder) is old:
                        member.__set__(holder, new)
                        found = True
    return found


def _describe_holder(holder: Any, old: Any) -> str:
    frame = getattr(holder, "gi_frame", None) or getattr(holder, "cr_frame", None) or getattr(holder, "ag_frame", None)
    if frame is not None:
        for name, value in frame.f_locals.items():
            if value is old:
                return f"the variable {name!r} of {describe(holder)}"
    if isinstance(holder, (types.BuiltinMethodType, types.MethodType)):
        return f"its method {holder.__name__!r}, kept by somebody"
    if isinstance(holder, functools.partial):
        return f"a partial of {describe(holder.func)}"
    if isinstance(holder, tuple):
        return f"a tuple of {len(holder)} items{_named(holder)}"
    return f"an object of type {describe(type(holder))}{_named(holder)}"


def _named(thing: Any) -> str:
    """Say which variable of a module *thing* is, if it is one."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is thing:
                return f" ({module.__name__}.{name})"
    return ""
