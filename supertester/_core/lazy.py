"""Third-party packages, imported where they are used and only then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

from supertester.errors import UsageError

__all__ = ["lazy_attributes", "lazy_import"]


def lazy_import(name: str, *, purpose: str, extra: str | None = None) -> ModuleType:
    """Return the module *name*, or say how to install it.

    Args:
        name: The module, e.g. ``"rich.table"``.
        purpose: What it is needed for, as the beginning of a sentence.
        extra: The extra of this package that brings it; ``None`` for a core dependency.

    Raises:
        UsageError: The package is not installed.
        ImportError: It is, and failed to import something else.

    >>> lazy_import("json", purpose="the report").__name__
    'json'
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        package = name.partition(".")[0]
        remedy = f"supertester[{extra}]" if extra else package
        raise UsageError(f"{purpose} needs the package {package!r}; install it with: pip install '{remedy}'") from error


def lazy_attributes(name: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of the module *name*, which imports each of its attributes when first asked for it.

    Args:
        name: The module.
        homes: For each attribute the module that has it.
    """

    def imported(attribute: str) -> object:
        home = homes.get(attribute)
        if home is None:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        value = getattr(import_module(home), attribute)
        setattr(sys.modules[name], attribute, value)
        return value

    return imported
