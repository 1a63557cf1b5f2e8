"""``os.environ`` and ``os.environb``, of which each test has its own from the first time it changes them.

The objects stay what they are, so that ``from os import environ`` is served too: only their class is replaced, once.
The environment that C code sees, with ``getenv``, stays the process's; child processes are given the test's.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from supertester.isolation.environment.state import FIRST_USE, State, current
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["around", "changed", "has_own", "install", "is_routed"]

_OBJECTS = [os.environ, os.environb] if os.supports_bytes_environ else [os.environ]
_process: dict[Any, Any] = os.environ.__dict__["_data"]
"""The variables of the process, encoded."""
_TEMPORARY = frozenset({"TMPDIR", "TEMP", "TMP"})


def _view(state: State | None) -> dict[Any, Any]:
    """Return what code of *state* sees: its own variables, or else those around it."""
    while state is not None:
        if state.variables is not None:
            return state.variables
        state = state.outer
    return _process


def has_own() -> bool:
    """Say whether the present code sees other variables than the process's."""
    return _view(current()) is not _process


def is_routed(mapping: object) -> bool:
    """Say whether *mapping* is one of those that hold the environment variables."""
    return any(mapping is each for each in _OBJECTS)


def changed(state: State) -> list[str]:
    """Return the names of the variables that *state* has changed, sorted."""
    own, around = state.variables, _view(state.outer)
    if own is None:
        return []
    names = own.keys() | around.keys()
    return sorted(os.fsdecode(name) for name in names if own.get(name) != around.get(name))


def around(state: State | None, name: str) -> str | None:
    """Return the variable *name* as it is around the test of *state*; without one, as it is in the process."""
    value = _view(None if state is None else state.outer).get(os.environ.encodekey(name))
    return None if value is None else os.fsdecode(value)


class _Environ(os._Environ):  # type: ignore[type-arg]
    """What ``os.environ`` and ``os.environb`` become an instance of."""

    @property
    def _data(self) -> dict[Any, Any]:
        own: dict[Any, Any] = self.__dict__["_data"]
        return _view(current()) if own is _process else own

    @_data.setter
    def _data(self, data: dict[Any, Any]) -> None:
        self.__dict__["_data"] = data

    def _state(self) -> State | None:
        return current() if self.__dict__["_data"] is _process else None

    def __setitem__(self, key: Any, value: Any) -> None:
        state = self._state()
        if state is None:
            super().__setitem__(key, value)
            return
        name, text = self.encodekey(key), self.encodevalue(value)
        _check(name, text)
        _own(state, os.fsdecode(name))[name] = text

    def __delitem__(self, key: Any) -> None:
        state = self._state()
        if state is None:
            super().__delitem__(key)
            return
        name = self.encodekey(key)
        _check_unset(name)
        if name not in _view(state):
            raise KeyError(key)
        del _own(state, os.fsdecode(name))[name]

    def __deepcopy__(self, memo: Any) -> Any:
        # A deep copy of the original has a table of its own too.
        return os._Environ(dict(self._data), self.encodekey, self.decodekey, self.encodevalue, self.decodevalue)


_Environ.__name__, _Environ.__qualname__, _Environ.__module__ = "_Environ", "_Environ", "os"


def _own(state: State, name: str) -> dict[Any, Any]:
    """Return the variables of *state* to change *name* in."""
    if name in _TEMPORARY:
        # Python looks once per process where temporary files go; a test that changes it should not be the first to.
        import tempfile

        tempfile.gettempdir()
    with FIRST_USE:
        if state.variables is None:
            state.variables = dict(_view(state.outer))
    return state.variables


# What the operating system refuses, and how Python says so ---------------------------------------------------------


def _check(name: Any, value: Any) -> None:
    equals, null = ("=", "\0") if isinstance(name, str) else (b"=", b"\0")
    if null in name or null in value:
        raise ValueError("embedded null byte")
    if equals in name:
        raise ValueError("illegal environment variable name")
    if not name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _check_unset(name: Any) -> None:
    equals, null = ("=", "\0") if isinstance(name, str) else (b"=", b"\0")
    if null in name:
        raise ValueError("embedded null byte")
    if equals in name or not name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def install() -> list[Undo]:
    """Let tests have variables of their own; return what undoes it."""
    return [replace_attribute(each, "__class__", _Environ) for each in _OBJECTS]
