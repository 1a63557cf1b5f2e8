"""The functions of ``random``, which draw from a generator of their caller's own where one is provided.

They are methods of one hidden generator. Its class is replaced by one that asks whose code is drawing; so those
functions too are served that a module has imported by name. Five of them are bound to C code or reach past the class:
these are replaced, in ``random`` and where a module has imported them under their own name.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from random import Random
from typing import Any, Final

from supertester._core.forking import free_in_children
from supertester._core.replacing import Undo, importers, replace_attribute

__all__ = ["Provider", "route_random"]

Provider = Callable[[], Random | None]
"""Returns the generator of whoever is drawing, or ``None`` if it has none for them."""

_BYPASSING: Final = ("random", "getrandbits", "seed", "getstate", "setstate")
_hidden: Any = random._inst
_providers: list[Provider] = []
_undos: list[Undo] = []
_lock = free_in_children(threading.Lock())


def _own() -> Random | None:
    for provider in tuple(_providers):
        if (own := provider()) is not None:
            return own
    return None


class _Routed(Random):
    """What the hidden generator becomes an instance of."""

    def random(self) -> float:
        own = _own()
        return super().random() if own is None else own.random()

    def getrandbits(self, k: int, /) -> int:
        own = _own()
        return super().getrandbits(k) if own is None else own.getrandbits(k)

    def seed(self, a: Any = None, version: int = 2) -> None:
        own = _own()
        return super().seed(a, version) if own is None else own.seed(a, version)

    def getstate(self) -> tuple[Any, ...]:
        own = _own()
        return super().getstate() if own is None else own.getstate()

    def setstate(self, state: tuple[Any, ...]) -> None:
        own = _own()
        return super().setstate(state) if own is None else own.setstate(state)

    def __reduce__(self) -> tuple[Any, ...]:
        return Random, (), self.getstate()

    @property
    def gauss_next(self) -> float | None:
        """The second of the two numbers that ``gauss`` makes at a time."""
        own: Any = _own()
        found: float | None = self.__dict__["gauss_next"] if own is None else own.gauss_next
        return found

    @gauss_next.setter
    def gauss_next(self, value: float | None) -> None:
        own: Any = _own()
        if own is None:
            self.__dict__["gauss_next"] = value
        else:
            own.gauss_next = value


_Routed.__name__ = _Routed.__qualname__ = "Random"
_Routed.__module__ = "random"


def route_random(provider: Provider, *, first: bool = False) -> Undo:
    """Let the functions of ``random`` draw from what *provider* returns, until the function returned is called.

    Args:
        provider: Asked at each draw; several are asked in turn.
        first: Whether it is asked before those that are there already.
    """
    with _lock:
        _providers.insert(0 if first else len(_providers), provider)
        if not _undos:
            _install()
    return lambda: _remove(provider)


def _remove(provider: Provider) -> None:
    with _lock:
        _providers.remove(provider)
        if not _providers:
            while _undos:
                _undos.pop()()


def _install() -> None:
    before = {name: getattr(random, name) for name in _BYPASSING}
    # Not those that somebody has replaced.
    before = {name: function for name, function in before.items() if getattr(function, "__self__", None) is _hidden}
    _undos.append(replace_attribute(_hidden, "__class__", _Routed))
    for module, name in importers(before):
        _undos.append(replace_attribute(module, name, getattr(_hidden, name)))
