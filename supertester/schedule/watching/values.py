"""What an expression stands for in a frame, as far as that can be known without calling anything."""

from __future__ import annotations

import ast
import builtins
from types import FrameType, MemberDescriptorType
from typing import Any, Final

__all__ = ["NOWHERE", "UNKNOWN", "member_of", "value_of"]

UNKNOWN: Final = object()
"""In place of a value that cannot be known."""
NOWHERE: Final = object()
"""In place of the value of a name that the frame does not have: it belongs to a function inside of the line."""


def value_of(node: ast.expr, frame: FrameType) -> Any:
    """Return the value of *node*, or `UNKNOWN` or `NOWHERE`."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals, builtins.__dict__):
            if node.id in names:
                return names[node.id]
        return NOWHERE
    if isinstance(node, ast.Attribute):
        base = value_of(node.value, frame)
        return base if base is UNKNOWN or base is NOWHERE else member_of(base, node.attr)
    if isinstance(node, ast.Subscript):
        base, key = value_of(node.value, frame), value_of(node.slice, frame)
        if base is NOWHERE or key is NOWHERE:
            return NOWHERE
        if type(base) in {list, tuple, dict} and key is not UNKNOWN:
            return _item(base, key)
    return UNKNOWN


def member_of(base: Any, name: str) -> Any:
    """Return the attribute *name* of *base* without running code of its class, or `UNKNOWN`."""
    try:
        own = object.__getattribute__(base, "__dict__")
    except (AttributeError, TypeError):
        own = {}
    if name in own and isinstance(own, (dict, type(type.__dict__))):
        return own[name]
    for cls in type.__getattribute__(type(base), "__mro__"):
        if name in cls.__dict__:
            return _through(cls.__dict__[name], base)
    return UNKNOWN


def _through(found: Any, base: Any) -> Any:
    if isinstance(found, MemberDescriptorType):  # A slot.
        try:
            return found.__get__(base)
        except AttributeError:
            return UNKNOWN
    if isinstance(found, (staticmethod, classmethod)):
        return found.__func__
    if callable(found) or not hasattr(type(found), "__get__"):
        return found
    return UNKNOWN


def _item(base: Any, key: Any) -> Any:
    try:
        return base[key]
    except (LookupError, TypeError):
        return UNKNOWN
