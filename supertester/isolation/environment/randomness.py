"""The functions of ``random``, which draw from a generator of the test's own, seeded with the test's seed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from threading import get_ident

from supertester._core.random_routing import route_random
from supertester._core.seeds import derive_seed, run_seed
from supertester.isolation.environment.state import FIRST_USE, current
from supertester.isolation.installed import Undo

__all__ = ["install", "own_generator"]

_between: dict[int, Random] = {}
"""For threads that are between the tests that they run: what their code draws from."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_between.clear)


def _own() -> Random | None:
    """Return the generator of the running test, or ``None`` outside of tests."""
    state = current()
    if state is None:
        return _between.get(get_ident()) if _between else None
    if state.is_forked():
        return None  # A forked process would draw the same numbers as its parent.
    if state.random is None:
        with FIRST_USE:
            if state.random is None:
                state.random = Random(derive_seed(state.context.seed, "random"))
    return state.random


@contextmanager
def own_generator() -> Iterator[None]:
    """Let the present thread have a generator of its own as long as it runs no test."""
    thread = get_ident()
    before = _between.get(thread)
    _between[thread] = Random(derive_seed(run_seed(), "between tests"))
    try:
        yield
    finally:
        if before is None:
            del _between[thread]
        else:
            _between[thread] = before


def install() -> list[Undo]:
    """Let tests draw from generators of their own; return what undoes it."""
    return [route_random(_own)]
