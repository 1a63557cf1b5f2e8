"""Whose code is running: the test that started it, or the one that started what started it.

The identity of a test is a context variable. Tasks and callbacks of asyncio inherit it by themselves. Threads (timers
and those of executors among them) and jobs of executors do not in any Python up to 3.13; here they are made to. They
inherit the identity alone and no other variable, so that code under test runs as it does outside of tests. For child
processes see `children`.
"""

from __future__ import annotations

import functools
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from supertester._core.exploring import served_by_nobody
from supertester._core.origin import Origin, relay
from supertester.context import IsolationContext, current_context
from supertester.errors import UsageError
from supertester.isolation.births import births_of
from supertester.isolation.gate import leave, running
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.otp.runtime import current as current_process

__all__ = [
    "adopt",
    "begin",
    "end",
    "find",
    "innermost",
    "is_alone",
    "is_tested_elsewhere",
    "origin_of",
    "others",
    "owner",
    "running_here",
    "stamp_of",
    "stamping",
    "unowned",
]

_tests: dict[int, IsolationContext] = {}
"""The test that each thread runs, for what happens in between its parts, where no context says so."""


def owner() -> IsolationContext | None:
    """Return the running test that the present code belongs to, or ``None``."""
    context = current_context.get()
    if context is None or context.closed:
        context = _tests.get(get_ident())
    return None if context is None or context.closed else context


def find(test_id: str) -> IsolationContext | None:
    """Return the running test with this id, or ``None``."""
    return running.get(test_id)


def innermost(context: IsolationContext) -> IsolationContext:
    """Return the test that the present code belongs to if it runs inside of *context*, else *context*."""
    found = each = owner()
    while each is not None and each is not context:
        each = each.outer
    return context if each is None or found is None else found


def running_here() -> IsolationContext | None:
    """Return the test that has the present thread for itself, or ``None``."""
    context = _tests.get(get_ident())
    return None if context is None or context.closed else context


def begin(context: IsolationContext, *, whole_thread: bool) -> IsolationContext | None:
    """Let this thread run the test *context*; return the one that this thread ran before, to be given to `end`.

    Args:
        context: The test.
        whole_thread: Whether the thread runs nothing else until `end`.
    """
    install_once(_inherit_in_threads)
    if len(running) > 1:
        for each in list(running.values()):
            each.alone = False
    thread = get_ident()
    before = _tests.get(thread)
    if whole_thread:
        _tests[thread] = context
    return before


def end(context: IsolationContext, before: IsolationContext | None) -> None:
    """Undo `begin`."""
    leave(context)
    thread = get_ident()
    if _tests.get(thread) is context:
        if before is None or before.closed:
            del _tests[thread]
        else:
            _tests[thread] = before


def is_alone() -> bool:
    """Say whether no other test is running in this process."""
    return len(running) <= 1


_RUNS_TESTS = {("unittest.case", "run"), ("unittest.suite", "run"), ("_pytest.python", "pytest_pyfunc_call")}


def is_tested_elsewhere() -> bool:
    """Say whether another thread runs tests, of whatever kind; those that are not isolated are known by that alone."""
    return any(
        (frame.f_globals.get("__name__"), frame.f_code.co_name) in _RUNS_TESTS
        for thread, innermost in sys._current_frames().items()
        if thread != get_ident()
        for frame, _ in traceback.walk_stack(innermost)
    )


def others(context: IsolationContext) -> list[str]:
    """Return the ids of the tests that run in this process besides *context* and the tests that it runs in."""
    within: list[IsolationContext] = []
    inner: IsolationContext | None = context
    while inner is not None:
        within.append(inner)
        inner = inner.outer
    return [test_id for test_id, each in list(running.items()) if each not in within]


@contextmanager
def adopt(context: IsolationContext | str) -> Iterator[IsolationContext]:
    """Let the body belong to a running test, on a thread that could not inherit it.

    Such is a thread that a C library has started, or one that was there before the test and now works for it.

    Args:
        context: The test, or its ``test_id``, which unlike the test itself can be sent anywhere.

    Raises:
        UsageError: No running test has this id, or the test has ended.
        TypeError: *context* is neither.

    Example::

        def on_message(test_id: str, message: bytes) -> None:  # called by a thread of the broker's client
            with adopt(test_id):
                handle(message)  # what it logs belongs to the test
    """
    if isinstance(context, str):
        found = find(context)
        if found is None:
            raise UsageError(f"no test with the id {context!r} is running; pass the test_id of one that has not ended")
    elif isinstance(context, IsolationContext):
        found = context
        if found.closed:
            raise UsageError(f"test {found.test_id!r} has ended; nothing can belong to it any more")
    else:
        raise TypeError(f"adopt() takes an IsolationContext or its test_id, got {context!r}")
    with _acting_as(found, found.made("root")):
        yield found


@contextmanager
def unowned() -> Iterator[None]:
    """Let the body belong to no test: what it starts and opens is the library's own, and outlives the test."""
    thread = get_ident()
    held = _tests.pop(thread, None)
    try:
        with _acting_as(None, None), served_by_nobody():
            yield
    finally:
        if held is not None:
            _tests[thread] = held


@contextmanager
def _acting_as(context: IsolationContext | None, process: Any) -> Iterator[None]:
    test, actor = current_context.set(context), current_process.set(process)
    try:
        yield
    finally:
        current_process.reset(actor)
        current_context.reset(test)


# Threads and jobs of executors --------------------------------------------------------------------------------------


def stamp_of(thread: threading.Thread | None) -> tuple[IsolationContext | None, str | None]:
    """Return the test that started *thread* and the line where it did."""
    context, origin = getattr(thread, "_supertester", (None, None))
    return context, None if origin is None else origin.line


def origin_of(thing: Any) -> Origin | None:
    """Return where a thread was started, or an executor made, if a test did it."""
    origin: Origin | None = getattr(thing, "_supertester", (None, None))[1]
    return origin


def _inherit_in_threads() -> Undo:
    undo_start = replace_attribute(threading.Thread, "start", _inheriting_start(threading.Thread.start))
    undo_submit = replace_attribute(ThreadPoolExecutor, "submit", _inheriting_submit(ThreadPoolExecutor.submit))
    undo_init = replace_attribute(ThreadPoolExecutor, "__init__", stamping(ThreadPoolExecutor.__init__))

    def undo() -> None:
        undo_init()
        undo_submit()
        undo_start()

    return undo


def stamping(previous: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that does what *previous* does, and notes which test made the object, and where."""

    @functools.wraps(previous)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self._supertester = (owner(), Origin(2))
        previous(self, *args, **kwargs)

    return init


def _inheriting_start(previous: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(previous)
    def start(self: threading.Thread) -> None:
        context = owner()
        if context is None or self.ident is not None:  # Not a test's, or about to be refused.
            previous(self)
            return
        origin = Origin(2)
        self._supertester = (context, origin)  # type: ignore[attr-defined]
        threads = births_of(context).threads
        threads.add(self)
        own = self.__dict__.get("run")
        self.run = functools.partial(_run, self, own, self.run, context, current_process.get(), origin)  # type: ignore[method-assign]
        try:
            previous(self)
        except BaseException:
            threads.discard(self)
            _restore_run(self, own)
            raise

    return start


@relay
def _run(  # noqa: PLR0917
    thread: threading.Thread,
    own: Any,
    run: Callable[[], None],
    context: IsolationContext,
    process: Any,
    origin: Origin,  # noqa: ARG001 - for `relay`
) -> None:
    """Be the ``run`` of a thread that a test started."""
    _restore_run(thread, own)
    # Never reset: the thread ends with it, and its hook for exceptions runs after this.
    current_context.set(context)
    current_process.set(process)
    try:
        run()
    finally:
        births_of(context).threads.discard(thread)


def _restore_run(thread: threading.Thread, own: Any) -> None:
    if own is None:
        thread.__dict__.pop("run", None)
    else:
        thread.run = own  # type: ignore[method-assign]


def _inheriting_submit(previous: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(previous)
    def submit(self: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # Also where there is no test: the thread that takes the job may have been started by one.
        context = owner()
        future = previous(self, _Job(function, context, current_process.get(), Origin(2)), *args, **kwargs)
        if context is not None and context.jobs is not None:
            context.jobs(future)
        return future

    return submit


class _Job:
    """A function that an executor calls in the name of the test that submitted it."""

    __slots__ = ("_context", "_function", "_origin", "_process")

    def __init__(
        self, function: Callable[..., Any], context: IsolationContext | None, process: Any, origin: Origin
    ) -> None:
        self._function = function
        self._context = context
        self._process = process
        self._origin = origin

    @relay
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        origin = self._origin  # noqa: F841 - for `relay`
        with _acting_as(self._context, self._process):
            return self._function(*args, **kwargs)
