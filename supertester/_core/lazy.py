"""Modules, imported where they are used and only then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from supertester.errors import UsageError

__all__ = ["lazy_attributes", "lazy_import", "loaded_when_used"]


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


@contextmanager
def loaded_when_used(*names: str) -> Iterator[None]:
    """Let the modules *names* be imported in the body without being run; to use what is in one runs it.

    One that is loaded already stays as it is, and one that is not to be had cannot be imported.
    """
    finder = _LaterFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LaterFinder:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name in self._names else None
        if found is not None and found.loader is not None:
            found.loader = _LaterLoader(found.loader)  # type: ignore[assignment]
        return found


class _LaterLoader:
    """Makes a module that a loader of the usual kind fills when it is used.

    `importlib.util.LazyLoader` fills it when it is imported for the second time: then its ``__spec__`` is looked at.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LaterModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__later__"] = self._loader


class _LaterModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        with _filling:
            loader = self.__dict__.pop("__later__", None)
            if loader is not None:
                self._fill(loader)
        return getattr(self, name) if type(self) is ModuleType else super().__getattribute__(name)

    def _fill(self, loader: Any) -> None:
        try:
            loader.exec_module(self)
        except BaseException:
            self.__dict__["__later__"] = loader
            raise
        self.__loader__ = loader
        if self.__spec__ is not None:
            self.__spec__.loader = loader
        self.__class__ = ModuleType  # type: ignore[assignment]


_filling = threading.RLock()
