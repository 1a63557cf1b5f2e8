"""Third-party packages, imported where they are used and only then."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from supertester.errors import UsageError

__all__ = ["lazy_import"]


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
