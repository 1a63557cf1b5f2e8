"""The ladder of timeouts, as a worker climbs it.

The parent keeps the time and sends signals, so a test that does not run out of time pays nothing for it:

1. ``RAISE``: the interpreter writes the stacks of all threads to a file. Then an async test is cancelled in its event
   loop; any other is interrupted in the main thread.
2. ``RAISE`` again: also an async test is interrupted where it stands. Its cleanup still runs.
3. ``DUMP``: the stacks once more, also where a test has changed what ``RAISE`` does.
4. The parent kills the worker with all that it has started.

One signal does both, because it also ends what waits in C code: of two, the second would find the next test. One that
comes late all the same is known by the time: whoever it is for has run for longer than he may.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from supertester.runner.forking import DUMP, RAISE

__all__ = ["FixtureTimeout", "Ladder", "TestTimeout", "climb", "listen_for_dumps", "on_raise"]

__unittest = True


class TestTimeout(BaseException):
    """A test took too long. No `Exception`, so that a test that catches those is interrupted as well."""

    __test__ = False


class FixtureTimeout(Exception):
    """A class or module fixture took too long. ``unittest`` only understands an `Exception` there."""


class _Limited:
    """What is running, and for how long it may."""

    def __init__(self, limit: float, error: type[BaseException]) -> None:
        self.limit = limit
        self.error = error
        self.begun = time.monotonic()
        self.reached = 0
        self.is_over = False
        """Whether it took longer, interrupted or not."""
        self.is_being_shown = False
        """Whether the stacks of its tasks are being taken."""
        self.stacks = ""

    @property
    def is_due(self) -> bool:
        """Whether it has run for so long by now."""
        return time.monotonic() - self.begun >= self.limit


class Ladder:
    """The limit of what a thread runs; one that is reached stays known until the next begins."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._current: _Limited | None = None
        self._last: _Limited | None = None

    def begin(self, limit: float | None, *, fixture: bool = False) -> None:
        """Note that something begins in this thread that may take *limit* seconds."""
        error = FixtureTimeout if fixture else TestTimeout
        self._thread = threading.get_ident()
        self._current = self._last = None if limit is None else _Limited(limit, error)

    def end(self) -> None:
        """Note that it has ended; nothing is interrupted any more."""
        if self._current is not None:
            # The parent may have begun to climb, and the signal have done no more than to end what held the test up.
            self._current.is_over = self._current.is_due
        self._current = None

    @property
    def reached(self) -> str | None:
        """Why what ran last ran out of time, with the stacks of its tasks; ``None`` if it did not."""
        last = self._last
        if last is None or not (last.reached or last.is_over):
            return None
        return f"it ran for more than {last.limit:g} s" + (f"\n\n{last.stacks}" if last.stacks else "")

    def climb(self) -> None:
        """Interrupt what is running, if it runs for too long: at first by its event loop, if it has one."""
        current = self._current
        if current is None or not current.is_due:
            return  # It was for a test that has ended meanwhile.
        current.reached += 1
        if current.is_being_shown:
            return  # The signal for the next rung came in the middle of this one, which sees it at its end.
        is_here = self._thread == threading.get_ident()
        loop = _running_loop() if is_here else _loop_of(self._thread)
        if current.reached == 1 and loop is not None:
            current.is_being_shown = True
            try:
                current.stacks = _task_stacks(loop)
                loop.call_soon_threadsafe(_cancel_main, loop)
            finally:
                current.is_being_shown = False
            if current.reached == 1:
                return
        if is_here:
            raise current.error(f"it ran for more than {current.limit:g} s")
        _raise_in(self._thread, current.error)


def climb(ladders: Sequence[Ladder]) -> None:
    """Interrupt what runs for too long."""
    for each in ladders:
        each.climb()


def on_raise(call: Callable[[], object], dumps: int) -> Callable[[], object]:
    """When the signal ``RAISE`` comes, write the stacks to *dumps* and call *call* in the main thread.

    Returns:
        Undoes it.
    """
    if RAISE is None:
        return lambda: None
    number = RAISE
    before = signal.signal(number, lambda *_: call() and None)
    has_dumps = hasattr(faulthandler, "register")
    if has_dumps:
        faulthandler.register(number, file=dumps, all_threads=True, chain=True)

    def undo() -> None:
        if has_dumps:
            faulthandler.unregister(number)
        signal.signal(number, before)

    return undo


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise *error* in another thread, as soon as that runs Python code."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def _loop_of(thread: int) -> Any:
    """Return the event loop that runs in another thread, or ``None``."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_name == "run_until_complete" and "self" in frame.f_locals:
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def listen_for_dumps(descriptor: int) -> None:
    """Let ``DUMP``, and whatever kills the interpreter, write the stacks of all threads to *descriptor*."""
    faulthandler.enable(file=descriptor, all_threads=True)
    if DUMP is not None and hasattr(faulthandler, "register"):
        faulthandler.register(DUMP, file=descriptor, all_threads=True, chain=False)


def _running_loop() -> Any:
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def _main_tasks(loop: Any) -> list[Any]:
    """Return the tasks that *loop* runs until they are complete, which is what a test waits for; or else all."""
    from supertester._core.live_tasks import tasks_of

    tasks = list(tasks_of(loop))
    awaited = [
        task
        for task in tasks
        if any(
            getattr(callback, "__name__", "") == "_run_until_complete_cb"
            for callback, _ in getattr(task, "_callbacks", None) or ()
        )
    ]
    return awaited or tasks


def _cancel_main(loop: Any) -> None:
    for task in _main_tasks(loop):
        task.cancel("the test ran out of time")


def _task_stacks(loop: Any) -> str:
    from supertester._core.live_tasks import tasks_of

    parts = []
    for task in sorted(tasks_of(loop), key=lambda task: task.get_name()):
        frames = task.get_stack()
        lines = "".join(traceback.format_list([_entry(frame) for frame in frames]))
        parts.append(f"task {task.get_name()!r} ({task.get_coro()!r}):\n{lines}".rstrip())
    return "\n".join(parts)


def _entry(frame: FrameType) -> traceback.FrameSummary:
    return traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
