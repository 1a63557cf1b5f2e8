"""What nobody caught, what is left over, and how a schedule comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from supertester.schedule.lanes import Lane
from supertester.schedule.loop.connections import Connections
from supertester.schedule.loop.faults import FaultLanes
from supertester.schedule.loop.tasks import Tasks
from supertester.schedule.strategies.fifo import Fifo

__all__ = ["Endings"]

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_ROUNDS: Final = 3
"""How often tasks are cancelled that others have started while they were."""
_PATIENCE: Final = 10_000
"""Steps in which the tasks that are left have to end when they are cancelled."""


class Endings(Connections, FaultLanes, Tasks):
    """Keeps what went wrong without anybody noticing, and ends what is left."""

    unhandled: list[dict[str, Any]]
    """What `call_exception_handler` was told, oldest first."""
    left: tuple[asyncio.Task[Any], ...] = ()
    """The tasks that were not done when `close` was called, oldest first."""
    before_step: Callable[[Lane], object] | None = None
    after_step: Callable[[], object] | None = None
    step_limit: int
    steps = 0
    _closed = False
    _handler: Handler | None = None

    # Exceptions ------------------------------------------------------------------------------------------------------

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note an exception that nobody caught in `unhandled`, and tell the handler that was set, if one was.

        Unlike asyncio, it logs nothing: whoever runs the schedule decides what such an exception means.
        """
        if self._closed:
            return
        self.unhandled.append(context)
        if self._handler is None:
            return
        try:
            self._handler(self, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 as asyncio does
            message = "Unhandled error in exception handler"
            self.unhandled.append({"message": message, "exception": error, "context": context})

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Do nothing: the exception is in `unhandled` already."""

    def set_exception_handler(self, handler: Handler | None) -> None:
        if handler is not None and not callable(handler):
            raise TypeError(f"an exception handler is a callable or None, got {handler!r}")
        self._handler = handler

    def get_exception_handler(self) -> Handler | None:
        return self._handler

    def _step_failed(self, error: BaseException) -> None:
        """Note what came out of a step that no handle and no task has noted: a fault, in the first place."""
        self.call_exception_handler({"message": f"Exception in {self.lane.label}", "exception": error})

    def forgotten_errors(self) -> list[tuple[asyncio.Task[Any], BaseException]]:
        """Return the tasks that failed without anybody asking for their exception so far, with that, oldest first.

        asyncio would log these when the garbage collector comes to them.
        """
        # Asking for the exception says that somebody did.
        return [(task, task._exception) for task in self.tasks if getattr(task, "_log_traceback", False)]

    def pending(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done, oldest first."""
        return [task for task in self.tasks if not task.done()]

    def forget_done(self) -> None:
        """Let go of the tasks that are done, and of the coroutines that they hold."""
        left = self.pending()
        for task in self.tasks:
            if task.done():
                _empty(task.explored_lane)
        self.tasks = left

    # The end ---------------------------------------------------------------------------------------------------------

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End all that is left: cancel the tasks, close the asynchronous generators, and forget the rest.

        What the tasks still do runs in asyncio's order, without the strategy; `left` has those that were not done.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._closed:
            return
        if pending := self.pending():
            self.left = tuple(pending)
            self._end_tasks()
        if self._asyncgens:
            self._run_to_end(self.shutdown_asyncgens())
        if self.left or self._asyncgens is not None:
            for task in self.pending():
                _drop(task)
        self._closed = True
        self._forget()

    def _end_tasks(self) -> None:
        """Cancel the tasks that are left, and those that they start, and let them come to their end."""
        before = self.before_step, self.after_step
        self.before_step = self.after_step = None
        seen: set[asyncio.Task[Any]] = set()
        for _ in range(_ROUNDS):
            if not (tasks := [task for task in self.pending() if task not in seen]):
                break
            seen.update(tasks)
            self._end(tasks)
        self.before_step, self.after_step = before

    def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        self._run_to_end(_all_done(tasks))
        for task in tasks:
            if task.done() and not task.cancelled() and task._exception is not None:
                message = "a task that was cancelled at the end of the schedule failed"
                self.call_exception_handler({"message": message, "exception": task.exception(), "task": task})

    def _run_to_end(self, steps: Any) -> None:
        """Run a last coroutine in asyncio's order; if it does not come to its end, drop it."""
        strategy, self.strategy = self.strategy, Fifo()
        choices, self.choices = self.choices, []
        offered, self._offered = self._offered, []
        steps_so_far = self.steps
        limit, self.step_limit = self.step_limit, self.steps + _PATIENCE
        try:
            with suppress(Exception):
                self.run_until_complete(steps)
        finally:
            self.strategy, self.choices, self._offered, self.step_limit = strategy, choices, offered, limit
            self.steps = steps_so_far

    def _forget(self) -> None:
        """Drop everything that leads in a circle, so that nothing waits for the garbage collector."""
        for task in self.tasks:
            if task._log_traceback:
                task._log_traceback = False
            lane = task.explored_lane
            lane.owner = lane.context = None
            lane.args = ()
        for lane in self._offered:
            lane.owner = None
        for lane in self._owned.values():
            lane.owner = None
        if self._network is not None:
            for transport in self._network.transports:
                transport.forget()
            self._network = None
        self.tasks = []
        self._runnable.clear()
        self._timers.clear()
        self._offered.clear()
        self._owned.clear()


def _empty(lane: Lane) -> None:
    """Let go of what *lane* ran last, which leads back to it."""
    lane.owner = lane.context = None
    lane.args = ()


def _drop(task: Any) -> None:
    """Let go of a task that did not end when it was cancelled, without a word."""
    task._log_destroy_pending = False
    with suppress(BaseException):
        task.get_coro().close()


async def _all_done(tasks: Any) -> None:
    await asyncio.wait(tasks)
