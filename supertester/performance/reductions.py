"""Reductions: the Python functions that a test calls, as a measure of work that is the same in every run."""

from __future__ import annotations

import dis
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

__all__ = ["Counter", "counting"]


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

    def called(self, code: CodeType) -> None:
        if not self.active:
            return
        foreign = self._foreign.get(code)
        if foreign is None:
            foreign = self._foreign[code] = _by_chance(code.co_filename)
        if not foreign and (self._context is None or current_context.get() is self._context):
            self.calls += 1


@contextmanager
def counting() -> Iterator[Counter]:
    """Yield a counter of the functions that the present test calls in the body, in all its tasks and threads.

    The functions of this library and of what Python has for tasks, threads and processes do not count: how often they
    run depends on chance.
    """
    counter = Counter(current_context.get())
    if sys.version_info >= (3, 12):
        counted = _monitored(counter)
    else:
        counted = _profiled(counter)
    with counted:
        yield counter


@contextmanager
def _profiled(counter: Counter) -> Iterator[None]:
    """Count by ``sys.setprofile``: this thread and those that start meanwhile."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and not _goes_on(frame):
            counter.called(frame.f_code)

    before, before_threads = sys.getprofile(), threading.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(before_threads)


_PAUSING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FIRST_RESUME = bytes([dis.opmap["RESUME"], 0])


def _goes_on(frame: FrameType) -> bool:
    """Say whether *frame* is a generator or coroutine that was paused, which for the profiler is a call too."""
    code, at = frame.f_code, frame.f_lasti
    return bool(code.co_flags & _PAUSING) and code.co_code[at : at + 2] != _FIRST_RESUME


if sys.version_info >= (3, 12):
    _lock = threading.Lock()
    _counters: set[Counter] = set()

    @contextmanager
    def _monitored(counter: Counter) -> Iterator[None]:
        """Count by ``sys.monitoring``, in every thread; all counters of the process share one tool."""
        with _lock:
            if not _counters:
                _start_tool()
            _counters.add(counter)
        try:
            yield
        finally:
            with _lock:
                _counters.discard(counter)
                if not _counters:
                    _stop_tool()

    _TOOL = sys.monitoring.PROFILER_ID

    def _start_tool() -> None:
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "supertester")
        monitoring.register_callback(_TOOL, monitoring.events.PY_START, _entered)
        monitoring.set_events(_TOOL, monitoring.events.PY_START)

    def _entered(code: CodeType, _: int) -> Any:
        if _by_chance(code.co_filename):
            return sys.monitoring.DISABLE
        for counter in tuple(_counters):
            counter.called(code)
        return None

    def _stop_tool() -> None:
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)
