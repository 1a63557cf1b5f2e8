"""What the tasks of a loop that stands still wait for, in words."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester._core.awaits import frames_of
from supertester._core.live_tasks import tasks_of
from supertester._core.naming import describe
from supertester._core.origin import creation_line, is_foreign, show_line
from supertester._core.standing import Explain, Standing

__all__ = ["describe_waits"]

Task = asyncio.Task[Any]


def describe_waits(loop: asyncio.AbstractEventLoop, explain: Explain | None = None) -> str:
    """Return a line for each task of *loop* that is not done: who waits for what, and at which line."""
    tasks = sorted(tasks_of(loop), key=_age)
    return "\n".join(f"  {_line(task, explain or _plainly)}" for task in tasks)


def _age(task: Task) -> tuple[int, str]:
    # Names as asyncio gives them are numbered.
    name = task.get_name()
    return (len(name), name) if name.startswith("Task-") else (0, name)


def _line(task: Task, explain: Explain) -> str:
    name, steps, wanted = explain(task)
    place, entered = _place(steps)
    where = f"at {place}" if place else f"({creation_line(steps)})"
    return f"{name or _name_of(task)} waits for {wanted or _wanted(task, entered)} {where}"


def _plainly(task: Task) -> Standing:
    return Standing(None, task.get_coro(), None)


def _name_of(task: Task) -> str:
    """Return what a reader would call *task*."""
    return f"task {task.get_name()!r} ({describe(task.get_coro())})"


def _place(steps: Any) -> tuple[str | None, str | None]:
    """Return the innermost line of the user's code in the chain of *steps*, and what that called which is not his."""
    place = entered = None
    for each, frame in frames_of(steps):
        code = frame.f_code
        if not is_foreign(code.co_filename):
            place = show_line(code.co_filename, frame.f_lineno, code.co_name)
            entered = None
        elif entered is None or not code.co_name.startswith("_"):
            entered = f"{describe(each)}()"  # `Lock.acquire` says more than the `__aenter__` that calls it.
    return place, entered


def _wanted(task: Task, entered: str | None) -> str:
    future = getattr(task, "_fut_waiter", None)
    if isinstance(future, asyncio.Task):
        return _name_of(future)
    if (gathered := [each for each in getattr(future, "_children", ()) if isinstance(each, asyncio.Task)]) != []:
        return " and ".join(_name_of(each) for each in gathered if not each.done())
    return entered or "a future that nobody sets"
