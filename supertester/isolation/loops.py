"""`TestLoop`: the event loop of one test.

What ``asyncio.Runner`` does for ``IsolatedAsyncioTestCase``, without debug mode and without the turns of the loop
that end nothing, and with a deadline. A loop belongs to one test and is never used again.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from supertester.isolation import tasks

__all__ = ["TestLoop", "TestTimeout"]

_GRACE = 1.0
"""Seconds that a part of a test which ran over has to end once it is cancelled."""


class TestTimeout(AssertionError):
    """A test ran longer than it may; the message shows where its tasks stood."""

    __test__ = False


class TestLoop:
    """Runs coroutines one after the other in one event loop and one context, like ``asyncio.Runner``.

    Args:
        factory: Makes the loop; ``None`` asks the event loop policy and makes the loop the thread's current one.
        debug: Asyncio's debug mode.
    """

    __test__ = False

    def __init__(self, *, factory: Callable[[], asyncio.AbstractEventLoop] | None = None, debug: bool = False) -> None:
        self._is_current = factory is None
        self._loop = factory() if factory is not None else asyncio.new_event_loop()
        if self._is_current:
            asyncio.set_event_loop(self._loop)
        if debug:
            self._loop.set_debug(True)
        self._main: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._overrun: str | None = None
        self._timeout = 0.0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sigint: Any = None
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._sigint = self._interrupted
            signal.signal(signal.SIGINT, self._sigint)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def run(self, coroutine: Coroutine[Any, Any, Any], *, context: Context | None = None) -> Any:
        """Run *coroutine* as a task in *context* and return its result.

        Raises:
            TestTimeout: It ran over the deadline.
        """
        loop = self._loop
        self._main = task = loop.create_task(coroutine, context=context)
        self._interrupts = 0
        try:
            result = loop.run_until_complete(task)
        except asyncio.CancelledError:
            if self._interrupts and task.uncancel() == 0:
                raise KeyboardInterrupt  # noqa: B904 - the cancellation shows where the test stood
            if self._overrun is not None:
                raise self._timed_out() from None
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                # Raised by the task, it left the loop on its own way, and nobody else has to be told.
                task._log_traceback = False
                raise
            if self._overrun is None:
                raise
            # Stopped by `_give_up`, or its own way to react to the cancellation.
            raise self._timed_out() from (None if not task.done() else error)
        finally:
            self._main = None
        if self._overrun is not None:
            raise self._timed_out()
        return result

    def limit(self, seconds: float | None) -> None:
        """Let what runs from now on take *seconds* in all; ``None`` lifts the limit."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = None
        if seconds is not None:
            self._timeout = seconds
            self._deadline = self._loop.time() + seconds
            self._timer = self._loop.call_later(seconds, self._ran_over)

    def check(self) -> None:
        """Raise `TestTimeout` if the limit passed while plain code ran, which no loop can interrupt."""
        if self._deadline is not None and self._overrun is None and self._loop.time() > self._deadline:
            self._overrun = "it never gave control to the event loop, so it could not be interrupted"
            raise self._timed_out()

    def _ran_over(self) -> None:
        assert self._main is not None  # Timers fire only while something runs.
        self._overrun = tasks.stacks(self._loop)
        self._main.cancel()
        self._timer = self._loop.call_later(_GRACE, self._give_up)

    def _give_up(self) -> None:
        self._overrun = f"{self._overrun}\nIt was cancelled and did not end within another {_GRACE:g} s."
        self._loop.stop()

    def _timed_out(self) -> TestTimeout:
        overrun, self._overrun = self._overrun, None
        timeout = self._timeout
        self.limit(None)
        return TestTimeout(f"the test ran longer than its timeout of {timeout:g} s; its tasks stood here:\n{overrun}")

    def _interrupted(self, number: int, frame: Any) -> None:
        """Turn the first Ctrl-C into a cancellation, so that the test's own ``finally`` blocks run."""
        self._interrupts += 1
        if self._interrupts == 1 and self._main is not None and not self._main.done():
            self._main.cancel()
            self._loop.call_soon_threadsafe(_wake)
            return
        raise KeyboardInterrupt

    def close(self, timeout: float) -> None:
        """End what is left in the loop and close it.

        Args:
            timeout: Seconds that jobs of the default executor may still take; Python 3.11 knows no limit.
        """
        loop = self._loop
        if loop.is_closed():
            return
        try:
            self.limit(None)
            left = asyncio.all_tasks(loop)
            if left:
                loop.run_until_complete(tasks.end_tasks(left, _GRACE))
            if getattr(loop, "_asyncgens", True):
                loop.run_until_complete(loop.shutdown_asyncgens())
            if getattr(loop, "_default_executor", True) is not None:
                limit = () if sys.version_info < (3, 12) else (timeout,)
                loop.run_until_complete(loop.shutdown_default_executor(*limit))
        finally:
            if self._sigint is not None and signal.getsignal(signal.SIGINT) == self._sigint:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            if self._is_current:
                asyncio.set_event_loop(None)
            loop.close()


def _wake() -> None:
    """Let a loop that waits for the selector see that something happened."""
