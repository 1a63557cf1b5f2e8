"""The process-global hooks, installed once and routed by context to the test that is to blame.

What belongs to no running test goes to the hook that was there before, so that nothing outside of tests changes. A hook
that somebody else puts in front of ours later (some test runners do, for each phase of a test) is noticed at the
start of the next test, and ours is put before it again; it becomes the one that gets what is not ours.
"""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from supertester._core.forking import free_in_children
from supertester._core.naming import describe
from supertester._core.origin import creation_file, creation_line
from supertester.context import IsolationContext, Problem
from supertester.isolation.identity import owner, stamp_of
from supertester.isolation.installed import Undo, install_once

__all__ = [
    "begin",
    "collections",
    "collections_since",
    "ignore_collector",
    "listen_to_collector",
    "unawaited_problem",
    "without_ours",
]


def begin(context: IsolationContext) -> None:
    """See to it that the hooks are in place, and note when *context* began."""
    install_once(_install)
    if not _are_in_front():
        _put_in_front()
    context.started = _collector.serial


# The garbage collector ---------------------------------------------------------------------------------------------


class _Collector:
    """Knows whether an object that goes away now was made by the running test.

    An object that the collector finds may come from any earlier test, and the running one must not be blamed for it. An
    object found in generation g was made after the last collection of that generation or an older one; so if there was
    one since the test began, the object is the test's own.
    """

    def __init__(self) -> None:
        self.serial = 0
        self.collecting: int | None = None
        self.thread = 0
        self.last = [0, 0, 0]
        self.listeners: set[Callable[[str], object]] = set()

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        generation = info["generation"]
        for listener in list(self.listeners):
            listener(phase)
        if phase == "start":
            self.collecting = generation
            self.thread = get_ident()
        else:
            self.collecting = None
            self.serial += 1
            for younger in range(generation + 1):
                self.last[younger] = self.serial

    def is_older_garbage(self, context: IsolationContext) -> bool:
        if self.collecting is None or self.thread != get_ident():
            return False
        return self.collecting >= 2 or self.last[self.collecting] <= context.started


_collector = _Collector()


def listen_to_collector(listener: Callable[[str], object]) -> None:
    """Call ``listener("start")`` and ``listener("stop")`` around each garbage collection."""
    _collector.listeners.add(listener)


def ignore_collector(listener: Callable[[str], object]) -> None:
    """Undo `listen_to_collector`."""
    _collector.listeners.discard(listener)


def collections() -> int:
    """Return how many garbage collections there were."""
    return _collector.serial


def collections_since(number: int) -> int:
    """Return the oldest generation that may hold what was made when there had been *number* `collections`, or later."""
    return sum(last > number for last in _collector.last[:2])


# The hooks ---------------------------------------------------------------------------------------------------------


def _thread_hook(previous: Callable[[Any], object]) -> Callable[[Any], None]:
    def supertester_thread_hook(args: Any) -> None:
        context, where = stamp_of(args.thread)
        if context is None:
            context = owner()
        if args.exc_type is SystemExit or context is None or not context.report(_thread_problem(args, where)):
            previous(args)

    return supertester_thread_hook


def _thread_problem(args: Any, where: str | None) -> Problem:
    name = args.thread.name if args.thread is not None else "unknown"
    return Problem(
        "thread",
        f"thread {name!r} ended with {_shown(args.exc_type, args.exc_value)} (thread started at {where or 'unknown'})",
        "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)),
    )


def _unraisable_hook(previous: Callable[[Any], object]) -> Callable[[Any], None]:
    def supertester_unraisable_hook(args: Any) -> None:
        context = owner()
        if context is None or _collector.is_older_garbage(context) or not context.report(_unraisable_problem(args)):
            previous(args)

    return supertester_unraisable_hook


def _unraisable_problem(args: Any) -> Problem:
    frames = traceback.extract_tb(args.exc_traceback)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    # Only text is kept: the object is being finalised, and a reference to it would revive it.
    return Problem(
        "unraisable",
        f"{args.err_msg or 'exception ignored in'} {args.object!r}: {_shown(args.exc_type, args.exc_value)}{where}",
        "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)),
    )


def _shown(kind: type[BaseException], error: BaseException | None) -> str:
    return repr(error) if error is not None else kind.__name__


def _unawaited_hook(previous: Callable[[Any], object]) -> Callable[[Any], None]:
    def supertester_unawaited_hook(coroutine: Any) -> None:
        context = owner()
        if context is None or _is_older(coroutine, context) or not context.report(unawaited_problem(coroutine)):
            if previous is _PYTHON_WARNS:
                _warn(coroutine)
            else:
                previous(coroutine)

    return supertester_unawaited_hook


def _is_older(coroutine: Any, context: IsolationContext) -> bool:
    """Say whether *coroutine* may come from an earlier test."""
    if not _collector.is_older_garbage(context):
        return False
    # The earlier tests of the same file would have been found out at their end, see `coroutines.Watch`.
    filename = creation_file(coroutine)
    return filename is None or filename != context.source


_PYTHON_WARNS = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]


def _warn(coroutine: Any) -> None:
    """Warn as Python does, of the line where the coroutine went away, which is one frame further out from here."""
    warnings.warn(unawaited_problem(coroutine).message, RuntimeWarning, stacklevel=3, source=coroutine)


def unawaited_problem(coroutine: Any) -> Problem:
    """Return the problem that *coroutine* is when nobody ever awaited it."""
    name = describe(coroutine)
    return Problem("unawaited", f"coroutine {name!r} was never awaited ({creation_line(coroutine)})")


# (where, attribute, what makes our hook from the one before). The last one is not documented as a hook: CPython calls
# `warnings._warn_unawaited_coroutine` with the coroutine itself, by that name, since 3.7, which is the only place that
# has both the coroutine and the moment.
_HOOKS: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (threading, "excepthook", _thread_hook),
    (sys, "unraisablehook", _unraisable_hook),
    (warnings, "_warn_unawaited_coroutine", _unawaited_hook),
]
_ours: dict[str, Any] = {}
"""The hooks in force, by name."""
_previous: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What was there before each hook of ours."""
_lock = free_in_children(threading.Lock())


def _are_in_front() -> bool:
    get = _ours.get
    ours = get("excepthook"), get("unraisablehook"), get("_warn_unawaited_coroutine")
    present = threading.excepthook, sys.unraisablehook, warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    return ours == present


def without_ours(hook: Any) -> Any:
    """Return what *hook* was put before if it is one of ours, else itself."""
    try:
        return _previous.get(hook, hook)
    except TypeError:  # It cannot be hashed, so it is none of ours.
        return hook


def _put_in_front() -> None:
    with _lock:
        for holder, name, make in _HOOKS:
            present = getattr(holder, name)
            if _ours.get(name) is present:
                continue
            # An older hook of ours may have been put back by who restores what was there before; none is needed twice.
            present = without_ours(present)
            _ours[name] = ours = make(present)
            _previous[ours] = present
            setattr(holder, name, ours)


def _install() -> Undo:
    _put_in_front()
    gc.callbacks.append(_collector)
    return _remove


def _remove() -> None:
    """Take the hooks out again, as far as nobody has put another in front of them."""
    with _lock:
        for holder, name, _ in _HOOKS:
            setattr(holder, name, without_ours(getattr(holder, name)))
        _ours.clear()
        if _collector in gc.callbacks:
            gc.callbacks.remove(_collector)
