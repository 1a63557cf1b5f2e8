"""The functions of ``numpy.random`` that share one generator, of which each test has its own.

The generator is written in C and cannot be told whose code is drawing; so its functions are replaced, in
``numpy.random`` and where a module has imported them under their own name. ``default_rng`` shares nothing.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from supertester._core.replacing import importers
from supertester._core.seeds import derive_seed
from supertester.isolation.environment.state import FIRST_USE, current
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["install", "is_loaded"]

_FUNCTIONS = {"seed": "seed", "sample": "random_sample", "ranf": "random_sample"}
"""Those that are no methods of the shared generator, and what they call; the others are such methods."""


def is_loaded() -> bool:
    """Say whether ``numpy.random`` is loaded as a whole, and not half, by an import that goes on in another thread."""
    module = sys.modules.get("numpy.random")
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def install() -> Undo:
    """Let tests have numpy's random numbers for themselves; return what undoes it."""
    module = sys.modules["numpy.random"]
    hidden = getattr(getattr(module, "mtrand", None), "_rand", None)
    if hidden is None:
        return _nothing
    shared = {
        name: each
        for name, each in vars(module).items()
        if name in _FUNCTIONS or getattr(each, "__self__", None) is hidden
    }
    routed = {name: _routed(_FUNCTIONS.get(name, name), each, type(hidden)) for name, each in shared.items()}
    undos = [replace_attribute(holder, name, routed[name]) for holder, name in list(importers(shared))]
    undos += _let_hypothesis_know(module, shared)
    return lambda: [undo() for undo in reversed(undos)]


def _nothing() -> None: ...


def _routed(name: str, previous: Callable[..., Any], kind: type) -> Callable[..., Any]:
    @functools.wraps(previous)
    def function(*args: Any, **kwargs: Any) -> Any:
        own = _own(kind)
        return previous(*args, **kwargs) if own is None else getattr(own, name)(*args, **kwargs)

    function.__module__, function.__qualname__ = "numpy.random", previous.__name__  # There pickle finds it.
    return function


def _own(kind: type) -> Any:
    """Return the generator of the running test, or ``None`` outside of tests."""
    state = current()
    if state is None or state.is_forked():
        return None  # As without supertester: a forked process goes on where its parent was.
    if state.numpy is None:
        with FIRST_USE:
            if state.numpy is None:
                state.numpy = kind(derive_seed(state.context.seed, "numpy") % 2**32)
    return state.numpy


def _let_hypothesis_know(module: Any, shared: dict[str, Any]) -> list[Undo]:
    """Let Hypothesis, which seeds the shared generator for each example, seed the test's."""
    found = getattr(sys.modules.get("hypothesis.internal.entropy"), "NP_RANDOM", None)
    names = {"seed": "seed", "getstate": "get_state", "setstate": "set_state"}
    return [
        replace_attribute(found, attribute, getattr(module, name))
        for attribute, name in names.items()
        if found is not None and getattr(found, attribute, None) is shared.get(name)
    ]
