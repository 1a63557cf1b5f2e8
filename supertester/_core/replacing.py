"""Attributes of modules and classes, replaced so that they can be put back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

from supertester._core.origin import transparent

__all__ = ["StandIn", "Undo", "importers", "replace_attribute"]

Undo = Callable[[], object]


class StandIn:
    """Stands for a builtin function, whose place it takes in its module; a subclass says what a call does.

    It is no function, because as the attribute of a class that would become a method, which a builtin does not.
    """

    def __init__(self, original: Any) -> None:
        self._original = original
        self.__module__ = original.__module__

    def __init_subclass__(cls) -> None:
        transparent(vars(cls)["__call__"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce__(self) -> str:
        return str(self._original.__name__)  # Another process unpickles its own.

    @staticmethod
    def originals(function: Any) -> Iterator[Any]:
        """Yield *function*, and what it stands for if it is a stand-in, and so on."""
        yield function
        while isinstance(function, StandIn):
            function = function._original
            yield function


def replace_attribute(holder: Any, name: str, replacement: Any) -> Undo:
    """Set an attribute; the function returned puts back what was there, unless somebody replaced ours since.

    A replacement must call what it replaces: others may have replaced it before.
    """
    if isinstance(replacement, FunctionType):
        transparent(replacement)
    previous = getattr(holder, name)
    setattr(holder, name, replacement)

    def undo() -> None:
        if getattr(holder, name) is replacement:
            setattr(holder, name, previous)

    return undo


def importers(functions: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield each loaded module that has one of *functions* under its name, and the name."""
    wanted = functions.keys()
    for module in list(sys.modules.values()):
        try:
            # Not by way of the module: that would load one that is to be loaded when first used.
            names = object.__getattribute__(module, "__dict__")
        except AttributeError:
            continue
        if wanted.isdisjoint(names.keys()):
            continue  # So are nearly all, and there may be thousands.
        for name, function in functions.items():
            if names.get(name) is function:
                yield module, name
