"""Copies that share nothing with what they are copies of."""

from __future__ import annotations

import copy
import enum
import functools
import threading
import types
import weakref
from array import array
from collections import OrderedDict, defaultdict, deque
from typing import Any

from supertester.errors import Unsupported, UsageError

__all__ = ["CACHED", "FUNCTIONS", "NATIVE", "copy_of", "is_routable", "native_type"]

NATIVE = (OrderedDict, defaultdict, dict, list, set, deque)
"""Containers whose items are not among their attributes; the more special ones first."""
CACHED = type(functools.lru_cache(lambda: None))
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_WEAK = (weakref.WeakValueDictionary, weakref.WeakKeyDictionary, weakref.WeakSet)
_LOCKS = {type(make()): make for make in (threading.Lock, threading.RLock)}
_SYNCHRONISERS = (*_LOCKS, threading.Condition, threading.Event, threading.local)
_VALUES = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, enum.Enum)
_BUFFERS = (bytearray, memoryview, array)


def is_routable(value: Any) -> bool:
    """Say whether a stand-in can be put in the place of *value*."""
    return not isinstance(value, (*_VALUES, *_BUFFERS, type, types.ModuleType, *_LOCKS))


def native_type(source: Any) -> Any:
    """Return the built-in type that holds the items of *source*, or ``object``."""
    return next((native for native in NATIVE if isinstance(source, native)), object)


def copy_of(source: Any, name: str, *, include_data: bool) -> Any:
    """Return a copy of *source* with which nothing can be done to *source*.

    Without data, containers are empty, and so are those that are attributes of an object. Locks are replaced by new
    ones, and so are conditions, events and what is local to threads. A cached function gets a new cache.

    Raises:
        Unsupported: It is nothing that has rows, or its rows cannot be copied.
        UsageError: Copying it failed.
    """
    if isinstance(source, CACHED):
        if include_data:
            raise Unsupported(f"{name}: the entries of an lru_cache cannot be read; leave out include_data=True")
        return functools.lru_cache(**source.cache_parameters())(source.__wrapped__)
    if not is_routable(source) or isinstance(source, FUNCTIONS):
        raise Unsupported(
            f"{name} is {source!r}, which is no table; mirror() takes containers, functions with an lru_cache and "
            "objects. To replace it use inject()"
        )
    try:
        return copy.deepcopy(source, _fresh_locks(source)) if include_data else _emptied(source)
    except Exception as error:
        remedy = "mirror it without data" if include_data else "pass an object of your own to inject()"
        raise UsageError(f"{name} cannot be copied ({type(error).__name__}: {error}); {remedy}") from error


def _fresh_locks(source: Any) -> dict[int, Any]:
    memo: dict[int, Any] = {}
    for value in _attributes(source).values():
        if isinstance(value, _SYNCHRONISERS):
            _fresh(value, memo)
    return memo


def _fresh(value: Any, memo: dict[int, Any]) -> Any:
    """Return what synchronises the copy where *value* synchronises the source, and note it in *memo*."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, threading.Condition):
        new: Any = threading.Condition(_fresh(value._lock, memo))  # type: ignore[attr-defined]
    elif isinstance(value, threading.Event):
        new = threading.Event()
        if value.is_set():
            new.set()
    elif isinstance(value, threading.local):
        new = threading.local()
    else:
        new = _LOCKS[type(value)]()
    memo[id(value)] = new
    return new


def _emptied(source: Any) -> Any:
    if isinstance(source, _WEAK):
        return type(source)()
    blank = types.SimpleNamespace if isinstance(source, types.SimpleNamespace) else native_type(source)
    new = blank.__new__(type(source))
    if isinstance(source, deque):
        deque.__init__(new, (), source.maxlen)
    elif isinstance(source, defaultdict):
        new.default_factory = source.default_factory
    attributes = _attributes(source)
    # Whatever else refers to these gets the same empty ones.
    memo = _fresh_locks(source) | {id(source): new}
    for value in attributes.values():
        if isinstance(value, (*NATIVE, *_WEAK)) and id(value) not in memo:
            memo[id(value)] = _emptied(value)
    for name, value in attributes.items():
        object.__setattr__(new, name, copy.deepcopy(value, memo))
    return new


def _attributes(source: Any) -> dict[str, Any]:
    """Return what is in the ``__dict__`` and in the slots of *source*."""
    state = object.__getstate__(source)
    parts = state if isinstance(state, tuple) else (state,)
    return {name: value for part in parts if part for name, value in part.items()}
