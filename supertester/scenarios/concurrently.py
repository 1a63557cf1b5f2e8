"""`run_concurrently`: one function, many times at the same time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from supertester._core.outcome import Outcome
from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError, WaitTimeout
from supertester.scenarios.threads import outcome_of

__all__ = ["checked_calls", "run_concurrently"]


async def run_concurrently(n: int, fn: Callable[..., Any], *, timeout: float = 5.0) -> list[Outcome[Any]]:
    """Call *fn* in *n* tasks that start together, and return what came of each, in order.

    Args:
        n: How many times.
        fn: Plain or async; called with the number of the call, from 0, if it takes an argument.
        timeout: Seconds for all of them.

    Raises:
        UsageError: *n* is less than 1.
        WaitTimeout: Some call did not end in time; the message has its number. All are cancelled.

    >>> async def main():
    ...     return [outcome.value for outcome in await run_concurrently(3, lambda number: number * number)]
    >>> asyncio.run(main())
    [0, 1, 4]
    """
    call_number = checked_calls("run_concurrently", n, fn)
    checked_seconds("timeout", timeout)
    gate = asyncio.Event()

    async def call(number: int) -> Outcome[Any]:
        await gate.wait()
        return await outcome_of(partial(call_number, number))

    tasks = [asyncio.ensure_future(call(number)) for number in range(n)]
    try:
        gate.set()
        _, pending = await asyncio.wait(tasks, timeout=timeout)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if pending:
        late = [number for number, task in enumerate(tasks) if task in pending]
        raise WaitTimeout(f"{len(late)} of {n} calls did not end within {timeout:g} s: {late[:20]}")
    return [task.result() for task in tasks]


def checked_calls(name: str, n: int, fn: Callable[..., Any]) -> Callable[[int], Any]:
    """Return *fn* as a function of the number of the call, for *name*, which takes *n* and *fn*.

    Raises:
        TypeError: *n* is no number, or *fn* no function.
        UsageError: *n* is less than 1.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"{name}() takes a number of calls, got n={n!r}")
    if n < 1:
        raise UsageError(f"{name}() needs at least one call, got n={n!r}")
    if not callable(fn):
        raise TypeError(f"{name}() takes a function, got fn={fn!r}")
    return fn if _takes_number(fn) else lambda _: fn()


def _takes_number(fn: Callable[..., Any]) -> bool:
    try:
        inspect.signature(fn).bind(0)
    except (TypeError, ValueError):  # It takes none, or cannot tell.
        return False
    return True
