"""Tasks of a test: whose they are, which were left running, and which failed without anybody looking."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from supertester._core.awaits import frames_of
from supertester._core.live_tasks import known_tasks, tasks_of
from supertester._core.naming import describe
from supertester._core.origin import creation_line
from supertester.context import IsolationContext, Problem, current_context

__all__ = [
    "Task",
    "describe_task",
    "end_tasks",
    "failed_tasks",
    "give_up",
    "is_about_to_begin",
    "left_running",
    "owner_of",
    "stacks",
    "stamp_tasks",
]

Task = asyncio.Task[Any]

_TURNS = 10
"""Turns of the loop that a task which is ending already gets to end: no time passes in them."""


def owner_of(task: Any) -> IsolationContext | None:
    """Return the test that *task* (or handle) was created in, or ``None``."""
    get_context = getattr(task, "get_context", None)
    context = get_context() if get_context is not None else getattr(task, "_context", None)
    owner: IsolationContext | None = (
        context.get(current_context) if context is not None else getattr(task, "_supertester", None)
    )
    return owner


def stamp_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """See to it that `owner_of` knows the tasks of *loop* where Python does not tell a task's context (before 3.12)."""
    if not hasattr(asyncio.Task, "get_context") and not isinstance(loop.get_task_factory(), _StampingFactory):
        loop.set_task_factory(_StampingFactory(loop.get_task_factory()))


class _StampingFactory:
    def __init__(self, previous: Any) -> None:
        self._make = previous or self._task

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        task: Any = self._make(loop, coroutine, **options)
        context = options.get("context")
        task._supertester = current_context.get() if context is None else context.get(current_context)
        return task

    @staticmethod
    def _task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Task:
        return asyncio.Task(coroutine, loop=loop, **options)


def left_running(loop: asyncio.AbstractEventLoop) -> set[Task]:
    """Return the tasks of *loop* that are not done, without the present one and without those of processes."""
    tasks = tasks_of(loop)
    if tasks:
        tasks.discard(asyncio.current_task(loop))
        tasks = {task for task in tasks if not hasattr(task, "supertester_pid")}
    return tasks


def failed_tasks(loop: asyncio.AbstractEventLoop) -> Iterator[Task]:
    """Yield the tasks of *loop* that ended with an exception which nobody retrieved so far, and are still held."""
    own: list[Task] | None = getattr(loop, "tasks", None)
    for task in known_tasks() if own is None else own:
        if getattr(task, "_log_traceback", False) and task.get_loop() is loop:
            yield task


def is_about_to_begin(coroutine: Any) -> bool:
    """Say whether a task in a running loop, of whatever thread, holds *coroutine* and will step it."""
    # Of the others nothing is asked: a task may have any object for its loop.
    return any(task.get_coro() is coroutine and task.get_loop().is_running() for task in known_tasks())


async def end_tasks(tasks: Iterable[Task], timeout: float) -> list[Task]:
    """Cancel *tasks* and return those that did not end within *timeout* seconds."""
    # One that refused before refuses again, and the log has nothing to add when it is dropped at last.
    wanted = [task for task in tasks if not task.done() and getattr(task, "_log_destroy_pending", True)]
    for task in wanted:
        task.cancel()
    if not wanted:
        return []
    done, pending = await asyncio.wait(wanted, timeout=timeout)
    for task in done:
        if not task.cancelled():
            task.exception()  # Retrieved: what a leaked task does while it is cancelled is no news.
    give_up(pending)
    return [task for task in wanted if task in pending]


def give_up(tasks: Iterable[Task]) -> None:
    """Take note that *tasks* refuse to end: nobody waits for them again."""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


async def let_end(tasks: set[Task]) -> set[Task]:
    """Give *tasks* a few turns of the loop to end what they are ending already; return those still running."""
    for _ in range(_TURNS):
        if not tasks:
            break
        await asyncio.sleep(0)
        tasks = {task for task in tasks if not task.done()}
    return tasks


def describe_task(task: Task) -> str:
    """Return the name, the coroutine, the line of creation and what the task waits at."""
    coroutine = task.get_coro()
    name = task.get_name()
    running = describe(coroutine)
    shown = repr(running) if name.startswith("Task-") else f"{name!r} running {running!r}"
    return f"{shown} ({creation_line(coroutine)}{_position(task)})"


def _position(task: Task) -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return ""
    return f"; now at {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}"


def names_of(task: Task) -> tuple[str, ...]:
    """Return what *task* goes by."""
    return task.get_name(), describe(task.get_coro())


def leak_problem(task: Task) -> Problem:
    """Return the problem that *task* is when it is left running."""
    return Problem("tasks", f"task {describe_task(task)} was left running; cancel it and await it, or use a TaskGroup")


def failure_problem(task: Task) -> Problem:
    """Return the problem that *task* is when its exception was never retrieved, and mark it as retrieved."""
    error = task.exception()
    return Problem(
        "task",
        f"background task {describe_task(task)} failed and nobody retrieved its exception: {error!r}",
        "".join(traceback.format_exception(error)),
    )


def stacks(loop: asyncio.AbstractEventLoop) -> str:
    """Return where every task of *loop* stands, as text, for a test that ran out of time."""
    lines = []
    for task in sorted(tasks_of(loop), key=lambda task: task.get_name()):
        lines.append(f"{task.get_name()}: {describe_task(task)}")
        lines += traceback.format_list(_await_chain(task))
    return "\n".join(line.rstrip("\n") for line in lines)


def _await_chain(task: Task) -> list[traceback.FrameSummary]:
    """Return the whole chain of awaits; `Task.get_stack` shows only its outermost coroutine."""
    frames = ((frame, frame.f_lineno) for _, frame in frames_of(task.get_coro()))
    return list(traceback.StackSummary.extract(frames))
