"""Tasks of asyncio as targets, alone or as the workers of a queue."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from supertester.errors import UsageError
from supertester.otp.reasons import KILL, KILLED, NORMAL, SHUTDOWN, Crash
from supertester.targets.queued import QueueTarget
from supertester.targets.target import Identity, Target, serial_of

__all__ = ["QueueTaskTarget", "TaskTarget"]

_TURNS: Final = 100
"""Turns of the loop in which a task that resists is cancelled again."""
_killed: WeakSet[asyncio.Task[Any]] = WeakSet()
"""The tasks that were killed here, whichever target it was done by."""


class TaskTarget(Target):
    """A task of asyncio.

    Its exit reason is `NORMAL` if it returned; `KILLED` if it was killed here, `SHUTDOWN` if it was cancelled
    otherwise; or a `Crash` with its exception, which counts as retrieved when somebody has asked for the reason.

    Args:
        task: The task, of the running event loop.

    >>> async def main():
    ...     target = TaskTarget(asyncio.ensure_future(asyncio.sleep(60)))
    ...     target.kill()
    ...     return await target.wait()
    >>> asyncio.run(main())
    KILLED
    """

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        "suspend": "asyncio cannot hold up a task; put a fault into what it awaits",
        "resume": "asyncio cannot hold up a task; put a fault into what it awaits",
        "queue_len": "it is not known what gives it something to do; make it a QueueTaskTarget(task, queue)",
        "sync": "it is not known what gives it something to do; make it a QueueTaskTarget(task, queue)",
        "workers": "a task has no workers of its own",
    }

    def __init__(self, task: asyncio.Task[Any]) -> None:
        if not isinstance(task, asyncio.Future):
            raise TypeError(f"a task is needed, got {task!r}; asyncio.create_task() makes one of a coroutine")
        self.task = task
        name = getattr(task, "get_name", lambda: type(task).__name__)()
        self._identity = Identity(name, os.getpid(), serial_of(task))

    @property
    def identity(self) -> Identity:
        """Its name, the number of this process, and a number of its own."""
        return self._identity

    def is_alive(self) -> bool:
        """Say whether it is not done."""
        return not self.task.done()

    @property
    def exit_reason(self) -> Any:
        """`NORMAL`, `KILLED`, `SHUTDOWN`, or a `Crash`."""
        if not self.task.done():
            return None
        if self.task.cancelled():
            return KILLED if self.task in _killed else SHUTDOWN
        error = self.task.exception()
        return NORMAL if error is None else Crash(error)

    def on_exit(self, callback: Callable[[Any], object]) -> Callable[[], object]:
        """Call ``callback(target)`` once, in the running event loop, when it is done, soon if it is."""

        def done(_: object) -> None:
            callback(self)

        self.task.add_done_callback(done)
        return lambda: self.task.remove_done_callback(done)

    def kill(self, reason: Any = KILL) -> None:
        """Cancel it, again and again if it goes on; one that goes on for ever is alive, as `wait` will tell.

        Args:
            reason: What it is cancelled with as the message.
        """
        if not self.task.done():
            _killed.add(self.task)
            self._cancel(reason, _TURNS)

    def _cancel(self, reason: Any, turns: int) -> None:
        if turns and not self.task.done():
            self.task.cancel(reason)
            self.task.get_loop().call_soon(self._cancel, reason, turns - 1)

    async def stop(self, timeout: float = 5.0) -> Any:
        """Cancel it once, and wait until it is done."""
        self.task.cancel(SHUTDOWN)
        return await self.ended(timeout, "it was cancelled")


class QueueTaskTarget(QueueTarget, TaskTarget):
    """A task that takes what it has to do from a queue; whether it uses ``task_done()`` or not.

    Args:
        task: The task.
        queue: Where it waits for something to do; it alone, or with other tasks.
    """

    lacks = {key: why for key, why in TaskTarget.lacks.items() if key not in ("queue_len", "sync")}  # noqa: RUF012

    def __init__(self, task: asyncio.Task[Any], queue: asyncio.Queue[Any]) -> None:
        if not isinstance(queue, asyncio.Queue):
            raise TypeError(f"an asyncio.Queue is needed, got {queue!r}; for a queue.Queue use QueueThreadTarget")
        super().__init__(task)
        self.queue = queue

    def _waits_for_more(self) -> bool:
        if self.task.done():
            raise UsageError(f"{self!r} has left {self.queue.qsize()} in its queue", reason="noproc")
        waited_for: Any = getattr(self.task, "_fut_waiter", None)
        return self.queue.empty() and waited_for in self.queue._getters
