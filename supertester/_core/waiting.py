"""The one place that polls. Whoever can wait for an event does; this is for foreign conditions that have none."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar, overload

from supertester._core.clock import Clock, LoopClock
from supertester.errors import UsageError, WaitTimeout

__all__ = ["Bell", "checked_seconds", "pause", "wait_until"]

T = TypeVar("T")

_YIELDS: Final = 3
"""Looks that cost one turn of the loop each, before waiting for time to pass."""
_TURNS: Final = 100
"""Turns of the loop that the first look may take when there is no time left for it."""
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05
_NOTHING: Final = object()


def checked_seconds(name: str, seconds: float, *, positive: bool = False) -> float:
    """Return *seconds*, or raise the error that a bad duration deserves: a number of 0 or more is wanted.

    A *positive* one has to be more than 0. A *name* that is ``ms``, or ends in ``_ms``, is one of milliseconds.
    """
    unit = "milliseconds" if name == "ms" or name.endswith("_ms") else "seconds"
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of {unit}, got {name}={seconds!r}")
    if positive and not seconds > 0:
        raise UsageError(f"{name} must be more than 0 {unit}, got {name}={seconds!r}")
    if not seconds >= 0:
        raise UsageError(f"{name} must be 0 or more {unit}, got {name}={seconds!r}")
    return seconds


class Bell:
    """Wakes a wait as soon as something happens that may have made its condition true.

    Args:
        certain: Whether the condition cannot come true without a ring; then nobody looks in between.
    """

    def __init__(self, *, certain: bool = False) -> None:
        self.certain = certain
        self._rung = False
        self._pause: asyncio.Future[None] | None = None

    def ring(self, *_: object) -> None:
        """Let the waiting side look again; a callback for whatever happens."""
        self._rung = True
        if self._pause is not None:
            _finish(self._pause)

    def arm(self, pause: asyncio.Future[None]) -> None:
        """Let the next ring end *pause*, at once if it rang since the last one."""
        self._pause = pause
        if self._rung:
            self._rung = False
            _finish(pause)


@overload
async def wait_until(
    condition: Callable[[], Awaitable[T | None]],
    description: str,
    *,
    timeout: float,
    clock: Clock | None = None,
    seen: Callable[[], object] | None = None,
    bell: Bell | None = None,
) -> T: ...


@overload
async def wait_until(
    condition: Callable[[], T | None],
    description: str,
    *,
    timeout: float,
    clock: Clock | None = None,
    seen: Callable[[], object] | None = None,
    bell: Bell | None = None,
) -> T: ...


async def wait_until(
    condition: Callable[[], Any],
    description: str,
    *,
    timeout: float,
    clock: Clock | None = None,
    seen: Callable[[], object] | None = None,
    bell: Bell | None = None,
) -> Any:
    """Wait until *condition* is true and return what it returned.

    Looks at once, a few times without letting time pass, then less and less often, and once more at the deadline; with
    a timeout of 0 it looks once. An exception of the condition ends the wait.

    Args:
        condition: Plain or async, without arguments. An async one is cancelled at the deadline.
        description: What is waited for, to follow "timed out waiting for".
        timeout: Seconds.
        clock: Whose seconds; the running loop's by default.
        seen: Says what to show as last seen, instead of what the condition returned.
        bell: Wakes this wait, so that it need not wait for its next look.

    Raises:
        WaitTimeout: It did not come true; the message says what was last seen.
        UsageError: The timeout is negative.

    >>> async def main():
    ...     numbers = iter([0, 0, 7])
    ...     return await wait_until(lambda: next(numbers), "a number", timeout=1.0)
    >>> asyncio.run(main())
    7
    """
    checked_seconds("timeout", timeout)
    clock = clock or LoopClock(asyncio.get_running_loop())
    deadline = clock.time() + timeout
    looks = 0
    last: Any = _NOTHING
    while True:
        # Asked before looking, so that the look after the deadline is the last one and still counts.
        over = clock.time() >= deadline
        value = condition()
        if isawaitable(value):
            value = await _bounded(value, clock, deadline, first=looks == 0)
        if value is not _NOTHING:
            last = value
            if value:
                return value
        if over:
            shown = "an unfinished look" if last is _NOTHING else repr(last)
            raise WaitTimeout(
                f"timed out after {timeout:g} s waiting for {description}; last seen: {seen() if seen else shown}"
            )
        looks += 1
        if looks <= _YIELDS:
            await asyncio.sleep(0)
        else:
            length = min(_FIRST_PAUSE * 2 ** min(looks - _YIELDS - 1, 10), _LONGEST_PAUSE)
            left = max(deadline - clock.time(), 0.0)
            await pause(clock, left if bell is not None and bell.certain else min(length, left), bell)


async def pause(clock: Clock, seconds: float, bell: Bell | None = None) -> None:
    """Let *seconds* pass on *clock*, or less if *bell* rings."""
    due = asyncio.get_running_loop().create_future()
    timer = None if math.isinf(seconds) else clock.call_at(clock.time() + seconds, _finish, due)
    if bell is not None:
        bell.arm(due)
    try:
        await asyncio.wait({due})
    finally:
        if timer is not None:
            timer.cancel()


def _finish(future: asyncio.Future[None]) -> None:
    future.cancel()  # Unlike a result, this can be done twice.


async def _bounded(look: Awaitable[Any], clock: Clock, deadline: float, *, first: bool) -> Any:
    """Await *look*, but not beyond *deadline*; return `_NOTHING` when it was not done by then."""
    task = asyncio.ensure_future(look)
    if math.isinf(deadline):
        return await task
    due = asyncio.get_running_loop().create_future()
    timer = clock.call_at(deadline, _finish, due)
    try:
        if clock.time() < deadline:
            await asyncio.wait({task, due}, return_when=asyncio.FIRST_COMPLETED)
        # The first look gets turns of the loop though no time, or a timeout of 0 would never see anything.
        for _ in range(_TURNS if first else 1):
            if task.done():
                break
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LONGEST_PAUSE)
            if not task.done() or task.cancelled():
                return _NOTHING
        return task.result()
    except BaseException:
        task.cancel()
        raise
    finally:
        timer.cancel()
        due.cancel()
