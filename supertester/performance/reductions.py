"""Reductions: the Python functions that a test calls, as a measure of work that is the same in every run."""

from __future__ import annotations

import dis
import functools
import gc
import inspect
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from supertester._core.origin import is_foreign
from supertester.context import IsolationContext, current_context
from supertester.errors import UsageError

__all__ = ["Counter", "counting", "prepare"]


_MACHINERY = tuple(
    str(Path(os.__file__).parent / name)
    for name in (
        "_weakrefset.py",
        "multiprocessing",
        "queue.py",
        "selectors.py",
        "signal.py",
        "socket.py",
        "weakref.py",
    )
)


def _by_chance(filename: str) -> bool:
    """Say whether how often the functions of *filename* run depends on chance: those that wait, and wake each other."""
    return is_foreign(filename) or filename.startswith(_MACHINERY)


class Counter:
    """Counts the calls that belong to one test, or outside of tests all calls, while it is `active`."""

    def __init__(self, context: IsolationContext | None) -> None:
        self._context = context
        self._foreign: dict[CodeType, bool] = {}
        self.calls = 0
        self.active = False
        self._collecting = 0
        """The thread in which the garbage collector runs: whose garbage it finalises there, depends on chance."""

    def note_collector(self, phase: str, _: object) -> None:
        self._collecting = threading.get_ident() if phase == "start" else 0

    def called(self, code: CodeType) -> None:
        if not self.active or (self._collecting and self._collecting == threading.get_ident()):
            return
        foreign = self._foreign.get(code)
        if foreign is None:
            foreign = self._foreign[code] = _by_chance(code.co_filename)
        if not foreign and (self._context is None or current_context.get() is self._context):
            self.calls += 1

    def take(self) -> int:
        """Return how many calls there were, and begin anew, with nothing kept."""
        calls, self.calls = self.calls, 0
        self._foreign.clear()
        return calls


@contextmanager
def counting() -> Iterator[Counter]:
    """Yield a counter of the functions that the present test calls in the body, in all its tasks and threads.

    The functions of this library and of what Python has for tasks, threads and processes do not count, nor what the
    garbage collector calls: how often they run depends on chance.
    """
    counter = Counter(current_context.get())
    gc.callbacks.append(counter.note_collector)
    try:
        with _counted(counter):
            yield counter
    finally:
        gc.callbacks.remove(counter.note_collector)


_PAUSING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FIRST_RESUME = bytes([dis.opmap["RESUME"], 0])


def _goes_on(frame: FrameType) -> bool:
    """Say whether *frame* is a generator or coroutine that was paused, which for the profiler is a call too."""
    code, at = frame.f_code, frame.f_lasti
    return bool(code.co_flags & _PAUSING) and code.co_code[at : at + 2] != _FIRST_RESUME


_lock = threading.Lock()
_counters: list[Counter] = []
"""Those that count now; they share one tool, whatever order they begin and end in.

Made anew for each change, so that a call, which may be of any thread, can go through it without a copy.
"""


def _add(counter: Counter) -> None:
    global _counters  # noqa: PLW0603
    _counters = [*_counters, counter]


def _discard(counter: Counter) -> None:
    global _counters  # noqa: PLW0603
    _counters = [each for each in _counters if each is not counter]


if sys.version_info >= (3, 12):
    _FREE_TOOLS = (4, 3, sys.monitoring.PROFILER_ID)
    """Those that `cProfile`, `coverage` and debuggers do not take come first."""
    _taken: list[int] = []

    @contextmanager
    def _counted(counter: Counter) -> Iterator[None]:
        """Count by ``sys.monitoring``, in every thread."""
        with _lock:
            if not _counters:
                _start_tool()
            _add(counter)
        try:
            yield
        finally:
            with _lock:
                _discard(counter)
                if not _counters:
                    _stop_tool()

    def _start_tool() -> None:
        monitoring = sys.monitoring
        free = [tool for tool in _FREE_TOOLS if monitoring.get_tool(tool) is None]
        if not free:
            raise UsageError("reductions cannot be counted: other tools use all of sys.monitoring")
        _taken.append(free[0])
        monitoring.use_tool_id(free[0], "supertester")
        monitoring.register_callback(free[0], monitoring.events.PY_START, _entered)
        monitoring.set_events(free[0], monitoring.events.PY_START)

    def _entered(code: CodeType, _: int) -> Any:
        if _by_chance(code.co_filename):
            return sys.monitoring.DISABLE
        for counter in _counters:
            counter.called(code)
        return None

    @functools.cache
    def prepare() -> None:
        """Let functions that run from now on be ready to be counted, so that no memory is needed for it then.

        Python gets them ready when they run for the first time after anything was watched at all in this process.
        """
        with _lock:
            if not _counters:
                _start_tool()
                _stop_tool()

    def _stop_tool() -> None:
        tool = _taken.pop()
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)

else:

    def prepare() -> None:
        """Do nothing: a function is only ready when it has been counted."""

    _of_threads: list[Any] = []
    """What new threads were profiled by before."""

    @contextmanager
    def _counted(counter: Counter) -> Iterator[None]:
        """Count by ``sys.setprofile``: this thread and those that start meanwhile."""
        before = sys.getprofile()
        with _lock:
            if not _counters:
                _of_threads.append(threading.getprofile())
                threading.setprofile(_profile)
            _add(counter)
        sys.setprofile(_profile)
        try:
            yield
        finally:
            _resume(before)
            with _lock:
                _discard(counter)
                if not _counters:
                    threading.setprofile(_of_threads.pop())

    def _profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and not _goes_on(frame):
            for counter in _counters:
                counter.called(frame.f_code)

    def _resume(profiler: Any) -> None:
        """Let this thread be profiled by *profiler* again, which it was before."""
        if profiler is None or callable(profiler):
            sys.setprofile(profiler)
        else:
            profiler.enable()  # A `cProfile.Profile`.
