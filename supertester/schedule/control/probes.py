"""What exploration assumes of Python without a promise of Python's, looked at before anybody relies on it."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import asyncio.taskgroups
import asyncio.tasks
import functools
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

from supertester.errors import Unsupported

__all__ = ["check", "problems"]

# As they are before anybody watches what they do.
_USERS_OF_SET: Final[tuple[Any, ...]] = (asyncio.tasks.wait, asyncio.taskgroups.TaskGroup.__init__)


@functools.cache
def check() -> None:
    """Warn, once, of each promise of exploration that this Python does not let it keep.

    Raises:
        Unsupported: This Python does not let it choose who runs next at all.
    """
    if not _steps_name_their_task():
        raise Unsupported(
            "asyncio of this Python does not say to which task a step belongs (`__self__`), so nothing can be "
            "explored; use a Python that supertester was tested with"
        )
    for problem in problems():
        warnings.warn(f"exploration is less than promised on this Python: {problem}", RuntimeWarning, stacklevel=3)


def problems() -> list[str]:
    """Return what does not hold on this Python, and what follows from it, a sentence each."""
    return [consequence for holds, consequence in _assumptions() if not holds()]


def _assumptions() -> Iterator[tuple[Callable[[], bool], str]]:
    yield _tasks_know_forgotten_errors, "errors of tasks that nobody asks for are not found"
    yield _waits_are_seen, "messages do not say which task waits for which"
    yield _modules_use_global_set, "`as_completed`, `wait` and `TaskGroup` may order tasks differently in every process"
    yield _random_has_hidden_generator, "the functions of `random` do not draw from the seed"
    yield _servers_start_by_loop, "`start_server` and `create_server` do not work"


def _steps_name_their_task() -> bool:
    found = []
    steps = _Steps()
    coroutine = _nothing()
    task = asyncio.Task(coroutine, loop=steps)  # type: ignore[arg-type]
    found = [getattr(callback, "__self__", None) for callback in steps.called]
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    steps.called.clear()  # Which holds the task: no such is to be met by who asks for all tasks.
    coroutine.close()
    return found == [task]


def _tasks_know_forgotten_errors() -> bool:
    names = ("_log_traceback", "_log_destroy_pending", "_exception")
    return all(hasattr(asyncio.Task, name) for name in names)


def _waits_are_seen() -> bool:
    return hasattr(asyncio.Task, "_fut_waiter")


def _modules_use_global_set() -> bool:
    return all("set" in function.__code__.co_names for function in _USERS_OF_SET)


def _random_has_hidden_generator() -> bool:
    return isinstance(getattr(random, "_inst", None), random.Random) and hasattr(random, "_urandom")


def _servers_start_by_loop() -> bool:
    start = getattr(asyncio.base_events.Server, "_start_serving", None)
    return start is not None and "_start_serving" in start.__code__.co_names


async def _nothing() -> None:
    """Do nothing."""


class _Steps:
    """As much of a loop as a task needs to schedule its first step."""

    def __init__(self) -> None:
        self.called: list[Any] = []

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Any, *_args: Any, context: Any = None) -> None:
        self.called.append(callback)
