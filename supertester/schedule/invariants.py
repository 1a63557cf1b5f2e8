"""Invariants: what has to hold after every step of a schedule, not only where the test looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.run import InvariantViolated

__all__ = ["watch_invariant", "watched_by"]

Check = Callable[[], Any]


def watch_invariant(check: Check, *, name: str | None = None) -> None:
    """Let *check* hold after every step from now on, until the schedule ends.

    Args:
        check: A plain function without arguments. It does not hold if it raises, or returns ``False`` or what a
            ``check_*`` function found.
        name: What the report calls it; by default the name of the function.

    Raises:
        UsageError: No schedules are being explored here, so nothing would look after every step.
        TypeError: *check* cannot be called.
        InvariantViolated: It does not hold now.

    Example::

        @explore
        async def test_checkout(self):
            pool = Pool(size=2)
            watch_invariant(lambda: pool.out <= pool.size, name="no more out than there are")
            await asyncio.gather(*(pool.checkout() for _ in range(3)))
    """
    if not callable(check):
        raise TypeError(f"watch_invariant() takes a function without arguments, got {check!r}")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if not isinstance(loop, ExploringLoop):
        raise UsageError(
            "watch_invariant() works while schedules are explored, by @explore or explore_schedules(); nothing looks "
            "after every step elsewhere"
        )
    watcher = watched_by(check, name)
    watcher()
    _add(loop, watcher)


def _add(loop: ExploringLoop, watcher: Callable[[], None]) -> None:
    present = loop.after_step

    def both() -> None:
        if present is not None:
            present()
        watcher()

    loop.after_step = watcher if present is None else both


def watched_by(check: Check, name: str | None = None) -> Callable[[], None]:
    """Return what raises `InvariantViolated` when *check* does not hold."""
    called = name if name is not None else describe(check)

    def watch() -> None:
        try:
            found = check()
        except InvariantViolated:
            raise
        except Exception as error:
            raise InvariantViolated(f"invariant {called!r} does not hold: {error!r}", called) from error
        if found is False or isinstance(found, Mismatch):
            reason = "" if found is False else f": {found}"
            raise InvariantViolated(f"invariant {called!r} does not hold{reason}", called)

    return watch
