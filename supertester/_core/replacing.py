"""Attributes of modules and classes, replaced so that they can be put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Undo", "replace_attribute"]

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
