"""`TestLoop`: the event loop of one test.

What ``asyncio.Runner`` does for ``IsolatedAsyncioTestCase``, without debug mode and without the turns of the loop
that end nothing, and with a deadline. A loop belongs to one test and is never used again. It is made when something
first needs it, because most of the cost of a plain test would be a loop that nothing runs in.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from supertester._core.clock import TimerHandle
from supertester._core.forking import free_in_children
from supertester._core.live_tasks import tasks_of
from supertester.isolation import tasks
from supertester.isolation.identity import running_here, unowned
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.logs.routing import unrecorded

if TYPE_CHECKING:
    from supertester.schedule import VirtualLoop

__all__ = ["TestLoop", "TestTimeout"]

_GRACE = 1.0
"""Seconds that a part of a test which ran over has to end once it is cancelled."""
_LIMITED = "the test ran longer than its timeout of"
"""What the limit is of, unless `TestLoop.limit` is told otherwise."""

_set_handler = signal.signal  # As it is while nobody notes which test sets which handler: this one is no test's.


class TestTimeout(AssertionError):
    """A test ran longer than it may; the message shows where its tasks stood."""

    __test__ = False


class TestLoop:
    """Runs coroutines one after the other in one event loop and one context, like ``asyncio.Runner``.

    Args:
        factory: Makes the loop; ``None`` asks the event loop policy and makes the loop the thread's current one.
        debug: Asyncio's debug mode.
        virtual: Whether the loop has virtual time, which limits do not go by.
        enter: Is given the loop in each context in which it is asked for, from when it is made.
    """

    __test__ = False

    def __init__(
        self,
        *,
        factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        debug: bool = False,
        virtual: bool = False,
        enter: Callable[[asyncio.AbstractEventLoop], object] | None = None,
    ) -> None:
        install_once(_lend_loops)
        self._factory = factory
        self._debug = debug
        self._virtual = virtual
        self._enter = enter
        self._thread = threading.get_ident()
        self._is_current = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: Callable[[], float] = time.monotonic
        self._main: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._overrun: str | None = None
        self._timeout, self._limited, self._why = 0.0, _LIMITED, ""
        self._deadline: float | None = None
        self._deadlock: str | None = None
        self._virtual_loop: VirtualLoop | None = None
        self._timer: TimerHandle | None = None
        self._sigint: Any = None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop, and make it if it is not there yet.

        Raises:
            RuntimeError: It was not made before this was closed.
        """
        with _making:  # Threads of the test may ask for it, too.
            loop = self._loop
            if loop is None:
                with unowned():
                    loop = self._make()
            if self._enter is not None:
                self._enter(loop)
            return loop

    def can_wait(self) -> bool:
        """Say whether ``asyncio.get_event_loop()`` in plain code will make the loop when it is called."""
        if self._factory is not None:
            return True  # It is not to be the current one anyway.
        return hasattr(type(asyncio.get_event_loop_policy()).get_event_loop, _LENDS)

    def _make(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError("the test has ended, and no event loop is made for it any more")
        with unrecorded:  # A loop logs that it is made.
            loop = self._new_loop()
        self._loop = loop
        if self._debug:
            loop.set_debug(True)
        if self._thread == threading.get_ident():
            self._take_thread(loop)
        left = None if self._deadline is None else self._deadline - self._now()
        self._now = self._watch(loop).time
        if left is not None:
            self._arm(loop, max(left, 0.0))
        return loop

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        if not self._virtual:
            return self._factory() if self._factory is not None else asyncio.new_event_loop()
        from supertester.isolation.virtual import new_loop  # Few tests need it.

        loop = self._virtual_loop = new_loop(self._factory)
        loop.on_deadlock = self._waits_for_ever
        return loop

    def _watch(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Return what has the clock by which a test on *loop* is limited."""
        return loop if self._virtual_loop is None else self._virtual_loop.wall

    def _take_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._factory is None:
            self._is_current = True
            asyncio.set_event_loop(loop)
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._sigint = self._interrupted
            _set_handler(signal.SIGINT, self._sigint)

    def run(self, coroutine: Coroutine[Any, Any, Any], *, context: Context | None = None) -> Any:
        """Run *coroutine* as a task in *context* and return its result.

        Plain code that runs in *context* can call this as well; then the task runs in a copy.

        Raises:
            TestTimeout: It ran over the deadline.
            Deadlock: In virtual time: it waits for what can never happen.
        """
        if context is not None and _is_entered(context):
            context = None
        try:
            loop = self.get_loop() if context is None else context.run(self.get_loop)
        except BaseException:
            coroutine.close()  # Nobody will ever await it.
            raise
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

    def limit(self, seconds: float | None, *, of: float | None = None, what: str = _LIMITED, why: str = "") -> None:
        """Let what runs from now on take *seconds*, which is what is left *of* some; ``None`` lifts the limit.

        *what* was over the limit, and *why* there is one, stand before and after the seconds in the message.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = None
        if seconds is not None:
            self._timeout, self._limited, self._why = seconds if of is None else of, what, why
            self._deadline = self._now() + seconds
            if self._loop is not None:
                self._arm(self._loop, seconds)

    def _arm(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        watch = self._watch(loop)
        self._deadline = watch.time() + seconds
        self._timer = watch.call_later(seconds, self._ran_over)

    def check(self) -> None:
        """Raise `TestTimeout` if the limit passed while plain code ran, which no loop can interrupt."""
        if self._deadline is not None and self._overrun is None and self._now() > self._deadline:
            self._overrun = "it never gave control to the event loop, so it could not be interrupted"
            raise self._timed_out()

    def _ran_over(self) -> None:
        assert self._main is not None and self._loop is not None  # Timers fire only while something runs.
        self._overrun = tasks.stacks(self._loop)
        if self._virtual_loop is not None:
            self._overrun = f"{self._overrun}\n{self._virtual_loop.describe_time()}"
        self._main.cancel()
        self._timer = self._watch(self._loop).call_later(_GRACE, self._give_up)

    def _waits_for_ever(self) -> None:
        """End what runs: nothing in it will ever happen."""
        loop = self._virtual_loop
        assert loop is not None
        if self._main is None:
            return  # The test runs its loop itself, and is told by it.
        if self._overrun is not None:
            self._overrun = f"{self._overrun}\nIt was cancelled, and waits for ever again."
            loop.stop()
            return
        self._deadlock = loop.describe_deadlock()
        self._overrun = ""
        self._main.cancel()

    def _give_up(self) -> None:
        assert self._loop is not None
        self._overrun = f"{self._overrun}\nIt was cancelled and did not end within another {_GRACE:g} s."
        self._loop.stop()

    def _timed_out(self) -> AssertionError:
        overrun, self._overrun = self._overrun, None
        deadlock, self._deadlock = self._deadlock, None
        rule = f"{self._limited} {self._timeout:g} s{self._why}"
        self.limit(None)
        if deadlock is not None:
            from supertester.schedule import Deadlock

            return Deadlock(f"{deadlock}{overrun}")
        return TestTimeout(f"{rule}; its tasks stood here:\n{overrun}")

    def _interrupted(self, number: int, frame: Any) -> None:
        """Turn the first Ctrl-C into a cancellation, so that the test's own ``finally`` blocks run."""
        self._interrupts += 1
        if self._interrupts == 1 and self._main is not None and not self._main.done():
            assert self._loop is not None
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
        self._closed = True
        if loop is None or loop.is_closed():
            return
        try:
            self.limit(None)
            if self._virtual_loop is not None:
                self._virtual_loop.go_with_real_time()
            left = tasks_of(loop)
            if left:
                loop.run_until_complete(tasks.end_tasks(left, _GRACE))
            if getattr(loop, "_asyncgens", True):
                loop.run_until_complete(loop.shutdown_asyncgens())
            if getattr(loop, "_default_executor", True) is not None:
                limit = () if sys.version_info < (3, 12) else (timeout,)
                loop.run_until_complete(loop.shutdown_default_executor(*limit))
        finally:
            if self._sigint is not None and signal.getsignal(signal.SIGINT) == self._sigint:
                _set_handler(signal.SIGINT, signal.default_int_handler)
            if self._is_current:
                asyncio.set_event_loop(None)
            loop.close()


def _wake() -> None:
    """Do nothing: a loop that waits for the selector sees that something happened, and a context that it is entered."""


def _is_entered(context: Context) -> bool:
    try:
        context.run(_wake)
    except RuntimeError:
        return True
    return False


_making = free_in_children(threading.RLock())
_LENDS = "_supertester_lends"


def _lend_loops() -> Undo:
    """Let ``asyncio.get_event_loop()`` in plain code of a test make the loop of the test, as if it had been there."""
    policy = asyncio.events.BaseDefaultEventLoopPolicy
    return replace_attribute(policy, "get_event_loop", _lending(policy.get_event_loop))


def _lending(previous: Callable[[Any], asyncio.AbstractEventLoop]) -> Callable[[Any], asyncio.AbstractEventLoop]:
    @functools.wraps(previous)
    def get_event_loop(self: Any) -> asyncio.AbstractEventLoop:
        test = running_here()
        if test is not None and test.made("loop") is None and self._local._loop is None:
            _ = test.loop
        return previous(self)

    setattr(get_event_loop, _LENDS, True)
    return get_event_loop
