"""`Lane`: callbacks that keep their order among themselves, and what an `ExploringLoop` chooses between.

A lane is named by its `path`: the path of the lane that made it, and the how-manieth child of that one it is. The same
program has the same paths in every run, process and Python, whatever the order in which its lanes run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

__all__ = ["Entry", "Lane"]

Entry = tuple[int, Any, tuple[Any, ...], Context | None]
"""Age, callback, arguments and context; without a context the callback is a handle that runs itself."""


class Lane:
    """A queue of callbacks that run in their order; it is runnable while it is not empty.

    Attributes:
        kind: ``"task"``, ``"timer"``, ``"executor"``, ``"delivery"``, ``"process"``, ``"callback"``, ``"fault"``, or
            what an object with a lane of its own says (``schedule_lane``).
        parent: The lane that made this one, or ``None`` for the one that everything stems from.
        number: The how-manieth child of its parent this is, from 0.
        owner: The task, or the object with a lane of its own, or ``None``; for a timer, its delay in seconds.
        age: When the head of the queue was scheduled: smaller is older. Each scheduled callback has an age of its own,
            which also tells it from others of the same lane.
        callback, args, context: The head of the queue; ``callback`` is ``None`` when the queue is empty.
        more: What comes after the head.
        mark: For the strategy: whatever it keeps for a lane, ``None`` at first. The loop never touches it.
    """

    __slots__ = (
        "_label",
        "_path",
        "age",
        "args",
        "callback",
        "children",
        "context",
        "kind",
        "mark",
        "more",
        "number",
        "owner",
        "parent",
    )

    def __init__(self, kind: str, parent: Lane | None, number: int, owner: Any = None) -> None:
        self.kind = kind
        self.parent = parent
        self.number = number
        self.owner = owner
        self.callback: Any = None
        self.children = 0
        self.more: deque[Entry] | None = None
        self.mark: Any = None

    age: int
    args: tuple[Any, ...]
    context: Context | None
    _label: str | Callable[[], str]
    _path: tuple[int, ...]

    @property
    def path(self) -> tuple[int, ...]:
        """The name of the lane; the first task's is ``(0,)``."""
        try:
            return self._path
        except AttributeError:
            self._path = path = _path_of(self)
            return path

    @property
    def label(self) -> str:
        """What a reader would call it: ``client#2``, ``timer 0.5 s``, ``kill worker#1``."""
        try:
            label = self._label
        except AttributeError:
            label = _label_of(self)
        if not isinstance(label, str):
            label = label()
        self._label = label
        return label

    @property
    def queue(self) -> list[Entry]:
        """What waits in the lane, in its order."""
        if self.callback is None:
            return []
        return [(self.age, self.callback, self.args, self.context), *(self.more or ())]

    def withdraw(self) -> None:
        """Take back the offer of a fault."""
        if self.owner is not None:
            self.owner.withdraw()

    def __repr__(self) -> str:
        return f"<Lane {'.'.join(map(str, self.path)) or 'outside'} {self.label}>"


def _path_of(lane: Lane) -> tuple[int, ...]:
    numbers = []
    known: tuple[int, ...] = ()
    each: Lane | None = lane
    while each is not None and each.parent is not None:
        numbers.append(each.number)
        each = each.parent
        if hasattr(each, "_path"):
            known = each._path
            break
    return (*known, *reversed(numbers))


def _label_of(lane: Lane) -> str:
    owner = lane.owner
    if isinstance(owner, asyncio.Task):
        return _label_of_task(lane, owner)
    if isinstance(owner, float):
        return f"{lane.kind} {owner:g} s"
    if owner is not None:
        return str(getattr(owner, "schedule_label", owner))
    if lane.parent is None:
        return "outside"
    return f"{lane.kind} {'.'.join(map(str, lane.path))}"


def _label_of_task(lane: Lane, task: asyncio.Task[Any]) -> str:
    """Return the name that the user gave, or that of the coroutine and the how-manieth of its kind it is."""
    name = task.get_name()
    if not name.startswith("Task-"):
        return name
    name = _coroutine_name(task)
    same = [
        other.number
        for each in getattr(task.get_loop(), "tasks", ())
        if (other := getattr(each, "explored_lane", lane)).parent is lane.parent and _coroutine_name(each) == name
    ]
    return name if lane.path == (0,) else f"{name}#{sum(number <= lane.number for number in same)}"


def _coroutine_name(task: asyncio.Task[Any]) -> str:
    # Python 3.12.1 crashes for a task that ended within the step that made it.
    is_safe = hasattr(task, "explored_coroutine") or not task.done()
    coroutine: Any = task.get_coro() if is_safe else None
    return str(getattr(coroutine, "__name__", None) or type(coroutine).__name__)
