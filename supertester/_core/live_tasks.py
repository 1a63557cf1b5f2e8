"""The tasks that there are, also while other threads make tasks.

``asyncio.all_tasks`` goes through the tasks of all threads with a Python loop, begins anew when another thread makes or
drops one meanwhile, and raises ``RuntimeError: Set changed size during iteration`` after a thousand attempts. Beside
threads with many tasks, that is what it does. Here the references are copied first, which takes one step of C.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

__all__ = ["known_tasks", "tasks_of"]

Task = asyncio.Task[Any]

# A WeakSet that also has those that are done, as long as somebody holds them. Python 3.11 calls it `_all_tasks`.
_known: Any = getattr(asyncio.tasks, "_all_tasks" if sys.version_info < (3, 12) else "_scheduled_tasks")
_eager: Any = getattr(asyncio.tasks, "_eager_tasks", frozenset())


def known_tasks() -> list[Task]:
    """Return all tasks of all loops that somebody holds, also those that are done.

    >>> async def main():
    ...     return asyncio.current_task() in known_tasks()
    >>> asyncio.run(main())
    True
    """
    kept = [task for reference in _known.data.copy() if (task := reference()) is not None]
    return [*kept, *_eager.copy()]


def tasks_of(loop: asyncio.AbstractEventLoop) -> set[Task]:
    """Return the tasks of *loop* that are not done, as ``asyncio.all_tasks(loop)`` does.

    A loop with a list of its own in ``tasks``, such as one that explores, knows them itself.

    >>> async def main():
    ...     return tasks_of(asyncio.get_running_loop()) == asyncio.all_tasks()
    >>> asyncio.run(main())
    True
    """
    own: list[Task] | None = getattr(loop, "tasks", None)
    if own is not None:
        return {task for task in own if not task.done()}
    return {task for task in known_tasks() if task.get_loop() is loop and not task.done()}
