"""asyncio's own classes, reporting what is done to their objects while something explores with accesses.

While it is watched, a class has a ``__getattribute__`` and a ``__setattr__`` that look at the running loop. A loop that
does not explore, in whatever thread, is told nothing, and its objects behave as ever. Reading an attribute whose value
cannot change is a read of the object; reading one that can (the queue of those who wait for a lock) counts as a write.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from asyncio.events import _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from supertester.schedule.streams import MemoryTransport

__all__ = ["CLASSES", "CODE", "UNCHANGING", "watched_classes"]

_GatheringFuture: Any = asyncio.tasks._GatheringFuture  # type: ignore[attr-defined]
CLASSES: Final[tuple[type, ...]] = (
    asyncio.Barrier,
    asyncio.Condition,
    asyncio.Event,
    asyncio.Lock,
    asyncio.Queue,
    asyncio.Semaphore,
    asyncio.Server,
    asyncio.StreamReader,
    asyncio.StreamReaderProtocol,
    asyncio.TaskGroup,
    asyncio.Timeout,
    _GatheringFuture,
    MemoryTransport,
)
CODE: Final[tuple[type, ...]] = (
    FunctionType,
    MethodType,
    BuiltinFunctionType,
    type(asyncio.Lock.__init__),
    asyncio.AbstractEventLoop,
)
UNCHANGING: Final[tuple[type, ...]] = (int, float, complex, str, bytes, type(None), tuple, frozenset, type, *CLASSES)
"""Values that cannot change, or that report by themselves what is done to them."""

_lock = threading.Lock()
_watchers = 0
_originals: dict[type, dict[str, Any]] = {}
"""What the classes have themselves in the places of the hooks."""


@contextmanager
def watched_classes() -> Iterator[None]:
    """Watch asyncio's classes while the block runs; blocks of several threads overlap."""
    global _watchers  # noqa: PLW0603 a count for the process, because the classes belong to the process
    with _lock:
        _watchers += 1
        if _watchers == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            _watchers -= 1
            if _watchers == 0:
                _remove()


def _install() -> None:
    for cls in CLASSES:
        hooks = _hooks(cls)
        _originals[cls] = {name: vars(cls)[name] for name in hooks if name in vars(cls)}
        for name, hook in hooks.items():
            setattr(cls, name, hook)


@functools.cache  # Made once for each of the few classes: they are put there and taken away with every run.
def _hooks(cls: Any) -> dict[str, Callable[..., Any]]:
    hooks = {"__init__": _maker(cls), "__getattribute__": _getter(cls), "__setattr__": _setter(cls)}
    if cls is _GatheringFuture:
        hooks["__await__"] = hooks["__iter__"] = _awaiter(cls)
    return hooks


def _remove() -> None:
    for cls in CLASSES:
        saved = _originals.pop(cls)
        for name in _hooks(cls):
            if name in saved:
                setattr(cls, name, saved[name])
            else:
                delattr(cls, name)


def _maker(cls: Any) -> Callable[..., Any]:
    original: Callable[..., Any] = cls.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        accesses = getattr(_get_running_loop(), "accesses", None)
        if accesses is not None:
            accesses.name(self)
        original(self, *args, **kwargs)

    return __init__


def _getter(cls: type) -> Callable[..., Any]:
    original: Callable[..., Any] = cls.__getattribute__

    def __getattribute__(self: Any, name: str, /) -> Any:  # noqa: N807
        value = original(self, name)
        accesses = getattr(_get_running_loop(), "accesses", None)
        if accesses is not None and not isinstance(value, CODE) and not name.startswith("__"):
            accesses.touch(self, changing=not isinstance(value, UNCHANGING))
        return value

    return __getattribute__


def _setter(cls: type) -> Callable[..., Any]:
    original: Callable[..., Any] = cls.__setattr__

    def __setattr__(self: Any, name: str, value: object, /) -> None:  # noqa: N807
        accesses = getattr(_get_running_loop(), "accesses", None)
        if accesses is not None:
            accesses.touch(self, changing=True)
        original(self, name, value)

    return __setattr__


def _awaiter(cls: type) -> Callable[..., Any]:
    original: Callable[..., Any] = cls.__await__  # type: ignore[attr-defined]

    def __await__(self: Any, /) -> Any:  # noqa: N807
        accesses = getattr(_get_running_loop(), "accesses", None)
        if accesses is not None:
            accesses.touch(self, changing=True)
        return original(self)

    return __await__
