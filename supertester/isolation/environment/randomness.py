"""The functions of ``random``, which draw from a generator of the test's own, seeded with the test's seed."""

from __future__ import annotations

from random import Random

from supertester._core.random_routing import route_random
from supertester._core.seeds import derive_seed
from supertester.isolation.environment.state import FIRST_USE, current
from supertester.isolation.installed import Undo

__all__ = ["install"]


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


def install() -> list[Undo]:
    """Let tests draw from generators of their own; return what undoes it."""
    return [route_random(_own)]
