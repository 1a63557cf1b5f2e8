"""The functions of ``random``, which draw from a generator of the test's own, seeded with the test's seed.

They are methods of one hidden generator. Its class is replaced, once, by one that asks whose code is drawing; so those
functions too are served that a module has imported by name. Five of them are bound to C code or reach past the class:
these are replaced, in ``random`` and where a module has imported them under their own name.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from supertester._core.seeds import derive_seed
from supertester.isolation.environment.state import FIRST_USE, current
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["importers", "install"]

_BYPASSING = ("random", "getrandbits", "seed", "getstate", "setstate")
_hidden: Any = random._inst


def _own() -> Random | None:
    """Return the generator of the running test, or ``None`` outside of tests."""
    state = current()
    if state is None or state.is_forked():
        return None  # A forked process would draw the same numbers as its parent.
    if state.random is None:
        with FIRST_USE:
            if state.random is None:
                state.random = Random(derive_seed(state.context.seed, "random"))
    return state.random


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


def install() -> list[Undo]:
    """Let tests draw from generators of their own; return what undoes it."""
    before = {name: getattr(random, name) for name in _BYPASSING}
    # Not those that somebody has replaced.
    before = {name: function for name, function in before.items() if getattr(function, "__self__", None) is _hidden}
    undos = [replace_attribute(_hidden, "__class__", _Routed)]
    for module, name in importers(before):
        undos.append(replace_attribute(module, name, getattr(_hidden, name)))
    return undos


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
