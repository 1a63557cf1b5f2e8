"""Whether a class has the callbacks that it should have."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError

__all__ = ["check_implements"]


def check_implements(cls: type, protocol: Any) -> Mismatch | None:
    """Say what *cls* lacks of *protocol*, or return ``None``.

    Args:
        cls: The class.
        protocol: A `typing.Protocol` or other class, whose public methods are wanted with compatible parameters and of
            the same kind, plain or async; a list of names; or a mapping from names to functions that are so compared.

    Raises:
        UsageError: *protocol* names no method at all.
        TypeError: *cls* is no class, or *protocol* is nothing of these.

    >>> class Storage:
    ...     def read(self, key): ...
    ...     async def write(self, key, value): ...
    >>> class Dict:
    ...     def read(self, key, default=None): ...
    ...     def write(self, key): ...
    >>> print(check_implements(Dict, Storage).message)
    Dict does not implement Storage:
      write(self, key): is plain, expected async
      write(self, key): cannot be called as write(self, key, value)
    """
    if not isinstance(cls, type):
        raise TypeError(f"check_implements() takes a class, got {cls!r}")
    wanted = _wanted(protocol)
    if not wanted:
        raise UsageError(f"{protocol!r} has no public methods, so everything implements it")
    problems = [line for name, model in wanted.items() for line in _objections(cls, name, model)]
    if not problems:
        return None
    name = protocol.__qualname__ if isinstance(protocol, type) else "its callbacks"
    return Mismatch(f"{cls.__qualname__} does not implement {name}:\n" + "\n".join(f"  {line}" for line in problems))


def _wanted(protocol: Any) -> dict[str, Any]:
    if isinstance(protocol, type):
        return {
            name: function
            for base in reversed(protocol.__mro__[:-1])
            for name, function in vars(base).items()
            if not name.startswith("_") and callable(_plain(function))
        }
    if isinstance(protocol, Mapping):
        return dict(protocol)
    if isinstance(protocol, Iterable) and not isinstance(protocol, (str, bytes)):
        return dict.fromkeys(protocol)
    raise TypeError(f"a protocol is a class, a list of names or a mapping from names to functions, got {protocol!r}")


def _plain(function: Any) -> Any:
    return function.__func__ if isinstance(function, (staticmethod, classmethod)) else function


def _objections(cls: type, name: str, model: Any) -> Iterator[str]:
    found = inspect.getattr_static(cls, name, None)
    if found is None:
        yield f"{name} is missing"
        return
    function = _plain(found)
    if not callable(function):
        yield f"{name} is {found!r}, not a method"
        return
    if model is None:
        return
    model = _plain(model)
    shown = f"{name}{inspect.signature(function)}"
    if _kind(function) != _kind(model):
        yield f"{shown}: is {_kind(function)}, expected {_kind(model)}"
    if (call := _impossible_call(function, model)) is not None:
        yield f"{shown}: cannot be called as {name}({call})"


def _kind(function: Any) -> str:
    if inspect.iscoroutinefunction(function):
        return "async"
    return "an async generator" if inspect.isasyncgenfunction(function) else "plain"


def _impossible_call(function: Any, model: Any) -> str | None:
    """Return a call that *model* takes and *function* does not, or ``None``."""
    parameters = inspect.signature(model).parameters.values()
    by_position = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    by_name = [each for each in parameters if each.kind == each.KEYWORD_ONLY]
    required = [each for each in by_position if each.default is each.empty]
    signature = inspect.signature(function)
    for given in (required, by_position):
        names = [each for each in by_name if given is by_position or each.default is each.empty]
        try:
            signature.bind(*(each.name for each in given), **{each.name: None for each in names})
        except TypeError:
            return ", ".join([*(each.name for each in given), *(f"{each.name}=..." for each in names)])
    return None
