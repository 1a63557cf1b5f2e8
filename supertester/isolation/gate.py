"""The gate: a test that compares process-global state runs alone, all others run beside each other.

A test that wants to run alone lets no new one begin, and waits for those that run to end. It does not wait for the
tests inside of which it runs, nor for those that stand still because an inner test of theirs waits at the gate too. A
test inside a running test never waits for one that wants to run alone: that one waits for its outer test.

Where none of those that run ends, they may wait for one that was not let in. So after a moment that one begins, and who
wants to run alone runs later.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

from supertester._core.forking import free_in_children
from supertester.context import IsolationContext
from supertester.errors import UsageError, WaitTimeout

__all__ = ["enter", "leave", "running"]

_PATIENCE = 120.0
"""Seconds without the end of any test after which waiting for others is given up: longer than a test may take."""
_COURTESY = 1.0
"""Seconds without the end of any test after which a new one begins before those that wait to run alone."""

running: dict[str, IsolationContext] = {}
"""The tests that have begun and not ended, by id."""
_alone: list[IsolationContext] = []
"""The tests that run alone, or wait to."""
_changed = free_in_children(threading.Condition(threading.Lock()))

# The path of a clean test takes no lock. A test first says that it runs and then looks whether somebody wants to be
# alone; who wants to be alone says so first and then looks who runs. So one of them sees the other.


def enter(
    context: IsolationContext,
    outer: IsolationContext | None,
    loop: asyncio.AbstractEventLoop | None,
    *,
    alone: bool,
) -> None:
    """Let *context* be a running test as soon as it may.

    Args:
        context: The test.
        outer: The running test that it runs inside of.
        loop: The event loop that runs already, and stands still while the test waits.
        alone: Whether nothing else may run meanwhile.

    Raises:
        UsageError: It would wait for ever, for a test of the same event loop.
        WaitTimeout: The others did not end.
    """
    context.outer = outer
    if alone:
        _enter_alone(context, loop)
        return
    running[context.test_id] = context
    if _alone and outer is None:
        _give_way(context, loop)


def leave(context: IsolationContext) -> None:
    """Undo `enter`."""
    running.pop(context.test_id, None)
    if _alone:
        with _changed:
            if context in _alone:
                _alone.remove(context)
            _changed.notify_all()


def _enter_alone(context: IsolationContext, loop: asyncio.AbstractEventLoop | None) -> None:
    with _changed:
        _alone.append(context)
        _changed.notify_all()  # Its outer tests stand still from now on.
        try:
            _wait(context, loop, lambda: _in_the_way_of(context), "has to run alone")
        except BaseException:
            _alone.remove(context)
            _changed.notify_all()
            raise
        running[context.test_id] = context


def _give_way(context: IsolationContext, loop: asyncio.AbstractEventLoop | None) -> None:
    why = "cannot run beside a test that has to run alone"
    with _changed:
        del running[context.test_id]
        _changed.notify_all()
        while _alone and not _is_stuck():
            _wait(context, loop, lambda: [each for each in _alone if each.test_id in running], why)
        running[context.test_id] = context


def _is_stuck() -> bool:
    """Wait for anything to end or to begin alone, and say whether nothing does; with the lock held."""
    first, before = _alone[0], [each for each in list(running.values()) if each.outer is None]

    def has_moved() -> bool:
        begun = any(each.test_id in running for each in _alone)
        return begun or first not in _alone or any(each.test_id not in running for each in before)

    return not _changed.wait_for(has_moved, _COURTESY)


def _in_the_way_of(context: IsolationContext) -> list[IsolationContext]:
    own = set(_lineage(context))
    for each in _alone:
        if each.test_id not in running:
            own.update(_lineage(each))
    return [each for each in list(running.values()) if each not in own]


def _lineage(context: IsolationContext | None) -> Iterator[IsolationContext]:
    while context is not None:
        yield context
        context = context.outer


def _wait(
    context: IsolationContext,
    loop: asyncio.AbstractEventLoop | None,
    others: Callable[[], list[IsolationContext]],
    why: str,
) -> None:
    """Wait until there are no *others*, with the lock held."""
    while left := others():
        names = ", ".join(each.test_id for each in left)
        if loop is not None and any(each.made("loop") is loop for each in left):
            raise UsageError(f"{context.test_id} {why}, and its event loop already runs {names}; await that first")
        if not _changed.wait(_PATIENCE):
            raise WaitTimeout(f"{context.test_id} {why}, and no test ended for {_PATIENCE:g} s; still there: {names}")
