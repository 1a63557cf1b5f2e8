"""Who waits for whom: where each task of a loop that stands still waits, and the cycle that they wait in."""

from __future__ import annotations

import asyncio
import asyncio.locks
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from supertester._core.awaits import frames_of
from supertester._core.naming import describe
from supertester._core.origin import is_foreign, is_standard, show_line
from supertester._core.standing import MESSAGE, Explain, Reply

__all__ = ["Wait", "cycle_of", "is_unanswered", "label_of", "waits_of"]

Task = asyncio.Task[Any]

_SHARED: Final = (asyncio.Lock, asyncio.Semaphore, asyncio.Event, asyncio.Condition, asyncio.Queue, asyncio.Barrier)
_HELD: Final = (asyncio.Lock, asyncio.Semaphore)


@dataclass(frozen=True)
class Wait:
    """One task that waits.

    Attributes:
        task: Who waits.
        label: What a reader would call it.
        filename, number, function: The innermost line of the user's code; an empty name where there is none.
        wanted: What it waits for: a lock, an event, a queue, another task, or ``None``.
        wanted_tasks: The tasks that it waits for, if it does.
        wanted_reply: The reply that it waits for, if it does.
        text: What it waits for, in words.
    """

    task: Task
    label: str
    filename: str
    number: int
    function: str
    wanted: Any
    wanted_tasks: tuple[Task, ...]
    text: str
    wanted_reply: Reply | None = None

    @property
    def where(self) -> str:
        """The line, as the end of a sentence."""
        return f" at {show_line(self.filename, self.number, self.function)}" if self.filename else ""

    @property
    def is_for_lock(self) -> bool:
        """Whether it waits for something that somebody holds."""
        return isinstance(self.wanted, _HELD)

    @property
    def is_idle(self) -> bool:
        """Whether it is a server with nothing to do."""
        return self.text == MESSAGE


def waits_of(loop: Any) -> list[Wait]:
    """Return where each task of *loop* that is not done waits, the oldest task first."""
    explain = getattr(loop, "explain", None)
    return [_wait_of(task, explain) for task in loop.tasks if not task.done()]


def _wait_of(task: Task, explain: Explain | None) -> Wait:
    name, steps, said = (None, task.get_coro(), None) if explain is None else explain(task)
    reply = said if isinstance(said, Reply) else None
    frame: FrameType | None = None
    wanted: Any = None
    entered = ""
    for each, inner in frames_of(steps):
        code = inner.f_code
        if not (is_foreign(code.co_filename) or is_standard(code.co_filename)):
            frame, wanted, entered = inner, None, ""
            continue
        owner = inner.f_locals.get("self")
        if isinstance(owner, _SHARED):
            wanted = owner
        if not entered or not code.co_name.startswith("_"):
            entered = f"{describe(each)}()"
    tasks = _awaited_tasks(task)
    text = _text(tasks, wanted, entered, frame) if said is None else str(said)
    where = ("", 0, "") if frame is None else (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
    return Wait(task, name or label_of(task), *where, wanted, tasks, text, reply)


def _awaited_tasks(task: Task) -> tuple[Task, ...]:
    future = getattr(task, "_fut_waiter", None)
    futures = [future, *getattr(future, "_children", ())]
    return tuple(each for each in futures if isinstance(each, asyncio.Task) and not each.done())


def _text(tasks: Sequence[Task], wanted: Any, entered: str, frame: FrameType | None) -> str:
    if tasks:
        return " and ".join(label_of(each) for each in tasks)
    if wanted is None:
        return entered or "a future that nobody sets"
    kind = type(wanted).__name__
    name = None if frame is None else _name_in(frame, wanted)
    return f"the {kind} {name}" if name else f"a {kind}"


def _name_in(frame: FrameType, wanted: Any) -> str | None:
    """Return what the line of *frame* calls the object *wanted*."""
    from supertester.schedule.report.touched import expression_for  # Needed after a failure only.

    return expression_for(wanted, frame, frame.f_lineno)


def label_of(task: Task) -> str:
    """Return what a reader would call *task*: its name, or what it runs where it has only a number."""
    name = task.get_name()
    if not name.startswith("Task-"):
        return name
    return f"{describe(task.get_coro())} ({name})"


def is_unanswered(wait: Wait, waits: Sequence[Wait]) -> bool:
    """Say whether *wait* is for the reply of a server that has nothing left to do: it has said that it will answer."""
    reply = wait.wanted_reply
    return reply is not None and all(each.is_idle for each in waits if each.task is reply.server.task)


def cycle_of(waits: Sequence[Wait], holders: Mapping[int, Sequence[Task]]) -> list[Wait]:
    """Return the waits that form a cycle, each of them waiting for the task of the next; nothing if there is none.

    Args:
        waits: All that wait.
        holders: For each lock by its id, the tasks that hold it.
    """
    by_task = {wait.task: wait for wait in waits}
    for start in waits:
        path: list[Wait] = []
        if _walk(start, by_task, holders, path, set()):
            return path
    return []


def _walk(
    wait: Wait, by_task: Mapping[Task, Wait], holders: Mapping[int, Sequence[Task]], path: list[Wait], seen: set[Task]
) -> bool:
    """Go on along *path* until it meets itself; leave in it the part that is a cycle."""
    path.append(wait)
    seen.add(wait.task)
    for task in _waited_for(wait, holders):
        following = by_task.get(task)
        if following is None:
            continue
        if following in path:
            del path[: path.index(following)]
            return True
        if task not in seen and _walk(following, by_task, holders, path, seen):
            return True
    path.pop()
    return False


def _waited_for(wait: Wait, holders: Mapping[int, Sequence[Task]]) -> Iterator[Task]:
    yield from wait.wanted_tasks
    if wait.wanted_reply is not None and wait.wanted_reply.server.task is not None:
        yield wait.wanted_reply.server.task
    yield from holders.get(id(wait.wanted), ())
