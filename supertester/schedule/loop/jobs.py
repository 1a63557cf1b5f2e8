"""Jobs of executors, which run as steps of the schedule, each in a lane of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from asyncio import events
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from supertester._core.exploring import served_by
from supertester._core.naming import describe
from supertester.schedule.loop.callbacks import Callbacks
from supertester.schedule.loop.escapes import refusal

__all__ = ["Jobs"]

_RUNS_COROUTINE: Final = "run_coroutine_threadsafe.<locals>.callback"


class Jobs(Callbacks):
    """Runs jobs in the thread of the loop, whatever executor they were given to."""

    is_in_job = False
    """Whether the step that runs is a job."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run the job as a step of its own, some time later: all at once, and in the thread of the loop.

        No executor is used or made for it. As in another thread, no event loop is running for the job, and it has a
        context of its own.
        """
        if inspect.iscoroutinefunction(func):
            raise TypeError("coroutines cannot be used with run_in_executor()")
        if not callable(func):
            raise TypeError(f"run_in_executor() needs a callable, got {func!r}")
        future = self.create_future()
        lane = self.new_lane("executor")
        lane._label = lambda: f"job {describe(_meant(func))}"
        self.call_in(lane, self._run_job, future, func, args, context=Context())
        return future

    def _run_job(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.done():
            return  # Cancelled before it began.
        events._set_running_loop(None)
        self.is_in_job = True
        try:
            with served_by(self):
                result = func(*args)
        except StopIteration as error:
            # A future cannot hold it, and asyncio's would never end.
            failure = RuntimeError("the job raised StopIteration")
            failure.__cause__ = error
            future.set_exception(failure)
        except BaseException as error:  # noqa: BLE001 as executors do
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            self.is_in_job = False
            events._set_running_loop(self)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        """Run *callback* soon, if the calling thread is that of the loop.

        Raises:
            UsageError: It is another thread, or a job that would wait for the loop, which waits for the job.
        """
        if self._thread not in {None, threading.get_ident()}:
            raise refusal(
                "call_soon_threadsafe() from another thread",
                "a thread that the schedule does not control could call at any moment; use asyncio.to_thread or "
                "loop.run_in_executor, whose jobs are steps of the schedule",
            )
        if self.is_in_job and getattr(callback, "__qualname__", "") == _RUNS_COROUTINE:
            raise refusal(
                "run_coroutine_threadsafe() from a job",
                "the job runs in the thread of the loop, which could not go on while it waits; await the coroutine "
                "outside of the job",
            )
        return self.call_soon(callback, *args, context=context)

    def set_default_executor(self, executor: Any) -> None:
        """Ignore it: jobs are steps of the schedule whatever their executor."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Return: there is no executor."""


def _meant(func: Any) -> Any:
    """Return what a reader would call the job: for ``asyncio.to_thread``, its function."""
    inner = getattr(func, "args", ())
    return inner[0] if getattr(getattr(func, "func", None), "__name__", "") == "run" and inner else func
