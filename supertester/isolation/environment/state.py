"""What a test has of its own instead of the process's, and how the running code finds it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from random import Random
from typing import Any

from supertester._core.forking import free_in_children
from supertester.context import IsolationContext
from supertester.isolation.identity import owner

__all__ = ["FIRST_USE", "State", "current"]

FIRST_USE = free_in_children(threading.RLock())
"""Held while a state gets a part of its own, which several threads of its test may need first.

It can be taken twice because a finaliser may run meanwhile.
"""


class State:
    """The part of one test. What is ``None`` was not used so far, and is the enclosing test's or the process's.

    Attributes:
        context: The test.
        outer: The state of the test that this one runs in.
        variables: The environment variables, encoded as the operating system has them.
        random: What stands in for the generator behind the functions of ``random``.
        numpy: The same for ``numpy.random``.
        warnings: Attributes of the module ``warnings``.
        undos: What the end of the test puts back, by what it is, the newest last.
    """

    __slots__ = ("context", "numpy", "outer", "random", "undos", "variables", "warnings")

    def __init__(self, context: IsolationContext) -> None:
        self.context = context
        self.outer: State | None = None if context.outer is None else _state_of(context.outer)
        self.variables: dict[Any, Any] | None = None
        self.random: Random | None = None
        self.numpy: Any = None
        self.warnings: dict[str, Any] | None = None
        self.undos: dict[object, Callable[[], object]] = {}

    def is_forked(self) -> bool:
        """Say whether the present code runs in a process that was forked inside the test."""
        return self.context.os_pid != os.getpid()


def current() -> State | None:
    """Return the state of the running test that the present code belongs to; ``None`` outside of tests."""
    context = owner()
    return None if context is None else _state_of(context)


def _state_of(context: IsolationContext | None) -> State | None:
    while context is not None:
        state: State | None = context.features.get("environment")
        if state is not None:
            return state
        context = context.outer  # It is off in this test, which is as its surroundings are.
    return None
