"""Invariants: what has to hold after every step of a schedule, not only where the test looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from typing import Any, Final

from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.run import InvariantViolated, Misfit

__all__ = ["check_invariant", "watch_invariant", "watched_by"]

Check = Callable[[], Any]

_ASYNC: Final = (iscoroutinefunction, isasyncgenfunction)
_NO_AWAIT: Final = "nothing can be awaited between two steps of a schedule"


def watch_invariant(check: Check, *, name: str | None = None) -> None:
    """Let *check* hold after every step from now on, until the schedule ends.

    Args:
        check: A plain function without arguments. It does not hold if it raises, or returns ``False`` or what a
            ``check_*`` function found.
        name: What the report calls it; by default the name of the function.

    Raises:
        UsageError: No schedules are being explored here, so nothing would look after every step.
        TypeError: *check* cannot be called, or is async: nothing can be awaited between two steps.
        InvariantViolated: It does not hold now.

    Example::

        @explore
        async def test_checkout(self):
            pool = Pool(size=2)
            watch_invariant(lambda: pool.out <= pool.size, name="no more out than there are")
            await asyncio.gather(*(pool.checkout() for _ in range(3)))
    """
    check_invariant(check, "watch_invariant() takes")
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


def check_invariant(check: Any, wants: str, option: str = "") -> None:
    """Refuse what cannot be asked between two steps.

    Args:
        check: What was given.
        wants: Begins the sentence, such as ``"watch_invariant() takes"``.
        option: The option by which it was given, such as ``"invariant="``.

    Raises:
        TypeError: It cannot be called, or is async.
    """
    if not callable(check):
        raise TypeError(f"{wants} a function without arguments, got {option}{check!r}")
    if any(is_async(each) for is_async in _ASYNC for each in (check, type(check).__call__)):
        raise Misfit(f"{wants} a plain function without arguments, got {option}{check!r}, which is async; {_NO_AWAIT}")


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
        if found is True or found is None:
            return
        if found is False or isinstance(found, Mismatch):
            reason = "" if found is False else f": {found}"
            raise InvariantViolated(f"invariant {called!r} does not hold{reason}", called)
        if isawaitable(found):
            if close := getattr(found, "close", None):
                close()  # Or it would complain that nobody awaited it.
            raise Misfit(
                f"invariant {called!r} returned {found!r}, and {_NO_AWAIT}; let it return False where it does not hold"
            )

    return watch
