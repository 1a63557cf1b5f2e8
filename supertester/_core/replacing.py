"""Attributes of modules and classes, replaced so that they can be put back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["Undo", "importers", "replace_attribute"]

Undo = Callable[[], object]


def replace_attribute(holder: Any, name: str, replacement: Any) -> Undo:
    """Set an attribute; the function returned puts back what was there, unless somebody replaced ours since.

    A replacement must call what it replaces: others may have replaced it before.
    """
    previous = getattr(holder, name)
    setattr(holder, name, replacement)

    def undo() -> None:
        if getattr(holder, name) is replacement:
            setattr(holder, name, previous)

    return undo


def importers(functions: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield each loaded module that has one of *functions* under its name, and the name."""
    for module in list(sys.modules.values()):
        try:
            # Not by way of the module: that would load one that is to be loaded when first used.
            names = object.__getattribute__(module, "__dict__")
        except AttributeError:
            continue
        for name, function in functions.items():
            if names.get(name) is function:
                yield module, name
