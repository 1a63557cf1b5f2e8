"""Threads that a test leaves running, and exceptions that end its threads: ``unittest`` passes over both.

Tests of an `IsolatedTestCase` look after their own threads, and say more about them.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from supertester.runner.outcomes import Problem

__all__ = ["ThreadWatch"]

_PATIENCE = 1.0
"""Seconds that threads have to end after their test; nothing waits if none is left."""


class ThreadWatch:
    """Says what became of the threads of each test, where tests run one after the other."""

    def __init__(self) -> None:
        self._known: set[threading.Thread] = set(threading.enumerate())
        self._raised: list[Problem] = []

    def install(self) -> Callable[[], None]:
        """Take note of exceptions that end threads from now on; return the undoing."""
        before = threading.excepthook

        def hook(args: Any) -> None:
            if args.exc_type is not SystemExit:
                self._raised.append(_raised_problem(args))
            before(args)

        threading.excepthook = hook

        def undo() -> None:
            if threading.excepthook is hook:
                threading.excepthook = before

        return undo

    def problems(self, test: Any) -> list[Problem]:
        """Return what *test*, which has ended, did with its threads."""
        threads = threading.enumerate()
        found = [] if len(threads) <= 1 else self._left(threads, test)
        return found + self.raised()

    def raised(self) -> list[Problem]:
        """Return the exceptions that ended threads since the last time."""
        found, self._raised = self._raised, []
        return found

    def _left(self, threads: list[threading.Thread], test: Any) -> list[Problem]:
        new = [thread for thread in threads if thread not in self._known]
        if _looks_after_itself(test):
            self._known = set(threads)
            return []
        deadline = time.monotonic() + _PATIENCE
        for thread in new:
            if not thread.daemon:  # Those that are, the interpreter ends itself.
                thread.join(max(0.0, deadline - time.monotonic()))
        self._known = set(threading.enumerate())
        return [_left_problem(thread) for thread in new if thread.is_alive() and not thread.daemon]


def _looks_after_itself(test: Any) -> bool:
    case = sys.modules.get("supertester.case")
    return case is not None and isinstance(test, case.IsolatedTestCase)


def _raised_problem(args: Any) -> Problem:
    name = args.thread.name if args.thread is not None else "unknown"
    error = "".join(traceback.format_exception_only(args.exc_type, args.exc_value)).strip()
    text = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
    message = f"thread {name!r} ended with {error}"
    return Problem(kind="error", message=message, details=f"{message}\n{text}")


def _left_problem(thread: threading.Thread) -> Problem:
    message = f"thread {thread.name!r} was left running; let it end and join it"
    frame = sys._current_frames().get(thread.ident or 0)
    where = "".join(traceback.format_stack(frame)) if frame is not None else ""
    return Problem(kind="error", message=message, details=f"{message}\n{where}")
