"""Threads as targets, alone, as the workers of a queue, or those of an executor."""

from __future__ import annotations

import os
import queue as queues
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from supertester._core.waiting import wait_until
from supertester.errors import UsageError
from supertester.otp.reasons import KILL, NORMAL
from supertester.targets.queued import QueueTarget
from supertester.targets.target import Identity, Target, serial_of

__all__ = ["QueueThreadTarget", "ThreadPoolTarget", "ThreadTarget"]

_NO_KILL: Final = "Python has no way to end a thread from outside; give kill= a function that makes it end by itself"
_NO_STOP: Final = "a thread ends when its function returns; give stop= a function that makes it return"
_NO_PAUSE: Final = "Python has no way to hold up a thread; put a fault into what it waits for"


class ThreadTarget(Target):
    """A thread, which ends when its function does: nobody can end it from outside, but it may be asked to.

    Its exit reason is `NORMAL`, however it ended: a thread tells nobody else about its exception.

    Args:
        thread: The thread, started.
        stop: Makes its function return, for `stop`; plain, called in the thread of the event loop.
        kill: Makes it end at once, for `kill`: it gets the reason. A failpoint, perhaps.

    >>> import asyncio
    >>> async def main():
    ...     done = threading.Event()
    ...     thread = threading.Thread(target=done.wait)
    ...     thread.start()
    ...     return await ThreadTarget(thread, stop=done.set).stop()
    >>> asyncio.run(main())
    NORMAL
    """

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        "kill": _NO_KILL,
        "stop": _NO_STOP,
        "suspend": _NO_PAUSE,
        "resume": _NO_PAUSE,
        "queue_len": "it is not known what gives it something to do; make it a QueueThreadTarget(thread, queue)",
        "sync": "it is not known what gives it something to do; make it a QueueThreadTarget(thread, queue)",
        "workers": "a thread has no workers of its own",
    }

    def __init__(
        self,
        thread: threading.Thread,
        *,
        stop: Callable[[], object] | None = None,
        kill: Callable[[Any], object] | None = None,
    ) -> None:
        if not isinstance(thread, threading.Thread):
            raise TypeError(f"a thread is needed, got {thread!r}")
        if thread.ident is None:
            raise UsageError(f"{thread!r} was not started yet; start it first")
        self.thread = thread
        self._stop, self._kill = stop, kill
        self._identity = Identity(thread.name, os.getpid(), serial_of(thread))

    @property
    def identity(self) -> Identity:
        """Its name, the number of this process, and a number of its own."""
        return self._identity

    @property
    def exit_reason(self) -> Any:
        """`NORMAL` when it has ended."""
        return None if self.thread.is_alive() else NORMAL

    def supports(self, capability: str) -> bool:
        """Say whether it has a *capability*: `kill` and `stop` only if it was given a function for it."""
        given = {"kill": self._kill, "stop": self._stop}
        return given[capability] is not None if capability in given else super().supports(capability)

    def kill(self, reason: Any = KILL) -> None:
        """Call the function that was given for that."""
        if self._kill is None:
            raise self.unsupported("kill")
        if self.is_alive():
            self._kill(reason)

    async def stop(self, timeout: float = 5.0) -> Any:
        """Call the function that was given for that, and wait until the thread has ended."""
        if self._stop is None:
            raise self.unsupported("stop")
        if self.is_alive():
            self._stop()
        return await self.ended(timeout, "it was asked to")


class QueueThreadTarget(QueueTarget, ThreadTarget):
    """A thread that takes what it has to do from a ``queue.Queue``; whether it uses ``task_done()`` or not.

    Args:
        thread: The thread, started.
        queue: Where it waits for something to do; it alone, or with other threads.
        workers: How many threads do, so many must wait for the queue to be done.
        stop: As for `ThreadTarget`; by default it cannot be stopped.
        kill: As for `ThreadTarget`.
    """

    lacks = {key: why for key, why in ThreadTarget.lacks.items() if key not in ("queue_len", "sync")}  # noqa: RUF012

    def __init__(
        self,
        thread: threading.Thread,
        queue: queues.Queue[Any],
        *,
        workers: int = 1,
        stop: Callable[[], object] | None = None,
        kill: Callable[[Any], object] | None = None,
    ) -> None:
        if not isinstance(queue, queues.Queue):
            raise TypeError(f"a queue.Queue is needed, got {queue!r}; for an asyncio.Queue use QueueTaskTarget")
        super().__init__(thread, stop=stop, kill=kill)
        self.queue = queue
        self._number = workers

    def _waits_for_more(self) -> bool:
        if not self.thread.is_alive():
            raise UsageError(f"{self!r} has left {self.queue.qsize()} in its queue", reason="noproc")
        with self.queue.mutex:  # Between two looks nobody comes or goes.
            waiting: Any = self.queue.not_empty._waiters
            return not self.queue._qsize() and len(waiting) >= self._number


class ThreadPoolTarget(Target):
    """A ``ThreadPoolExecutor``; its threads are its workers, and end with it alone."""

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        "kill": "Python has no way to end the threads of an executor from outside",
        "suspend": _NO_PAUSE,
        "resume": _NO_PAUSE,
    }

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.executor: Any = executor
        self._identity = Identity(str(self.executor._thread_name_prefix), os.getpid(), serial_of(executor))

    @property
    def identity(self) -> Identity:
        """The prefix of the names of its threads, the number of this process, and a number of its own."""
        return self._identity

    @property
    def exit_reason(self) -> Any:
        """`NORMAL` when it was shut down and its threads have ended."""
        return NORMAL if self.executor._shutdown and not self.workers() else None

    async def stop(self, timeout: float = 5.0) -> Any:
        """Shut it down; what was submitted before is still done."""
        self.executor.shutdown(wait=False)
        return await self.ended(timeout, "it was shut down")

    def queue_len(self) -> int:
        """Return how many jobs no thread has begun."""
        return int(self.executor._work_queue.qsize())

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until all that was submitted is done."""
        await wait_until(self._is_idle, f"{self!r} to have done all", timeout=timeout, seen=self._jobs)

    def _is_idle(self) -> bool:
        idle: int = self.executor._idle_semaphore._value
        return self.executor._work_queue.empty() and idle >= len(self.workers())

    def _jobs(self) -> str:
        return f"{self.queue_len()} jobs that no thread has begun"

    def workers(self) -> Sequence[Target]:
        """Return the threads that it has started."""
        return [ThreadTarget(thread) for thread in list(self.executor._threads) if thread.is_alive()]
