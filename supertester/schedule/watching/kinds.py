"""Of which kind a value is: whose attributes are its state, who counts as one thing, and who reports by itself."""

from __future__ import annotations

import sys
from types import (
    ClassMethodDescriptorType,
    CoroutineType,
    GeneratorType,
    GetSetDescriptorType,
    MethodDescriptorType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any, Final

from supertester.schedule.watched_classes import CODE, UNCHANGING

__all__ = ["has_attributes", "is_opaque"]

_DESCRIPTORS: Final = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType)
_HARMLESS: Final = frozenset({"abc", "enum", "supertester", "typing", "unittest"})
_NO_STATE: Final = (*CODE, *_DESCRIPTORS, ModuleType, CoroutineType, range, slice)


def has_attributes(base: Any) -> bool:
    """Say whether what *base* holds is in its attributes, and nobody else notes that."""
    if isinstance(base, type):
        return _is_users(base)
    return not isinstance(base, (*UNCHANGING, *_NO_STATE)) and _is_users(type(base))


def is_opaque(value: Any) -> bool:
    """Say whether *value* counts as one thing, because no line of the user's shows what happens inside."""
    if isinstance(value, (*UNCHANGING, *_NO_STATE, GeneratorType)):
        return False
    cls = type(value)
    if hasattr(cls, "__tracked__") or _reports(cls):
        return False
    # A class of the user's own may have inherited methods that nobody sees, such as those of a dict.
    return not _is_users(cls) or any(not _is_users(each) and not _is_harmless(each) for each in cls.__mro__)


def _is_harmless(cls: type) -> bool:
    """Say whether what a class of the user's inherits from *cls* changes nothing that its lines do not show."""
    return issubclass(cls, BaseException) or cls is object or cls.__module__.partition(".")[0] in _HARMLESS


def _reports(cls: type) -> bool:
    """Say whether objects of *cls* belong to this library or to the loop, which note for themselves what is done."""
    return cls.__module__.partition(".")[0] == "supertester" or hasattr(cls, "schedule_lane")


def _is_users(cls: type) -> bool:
    """Say whether the methods of *cls* are lines that can be watched."""
    if hasattr(cls, "__tracked__"):
        return False
    if issubclass(cls, SimpleNamespace):
        return True
    name = cls.__module__
    if name == "builtins" or name.partition(".")[0] in sys.stdlib_module_names or name.startswith("supertester."):
        return name == "__main__"
    return True
