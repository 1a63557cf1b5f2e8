"""`run_in_threads`: one function that blocks, called by many threads at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from supertester._core.at_once import begin_in_threads
from supertester._core.outcome import Outcome
from supertester._core.waiting import checked_seconds
from supertester.errors import WaitTimeout
from supertester.scenarios.concurrently import checked_calls

__all__ = ["run_in_threads"]


async def run_in_threads(n: int, fn: Callable[..., Any], *, timeout: float = 5.0) -> list[Outcome[Any]]:
    """Call *fn*, which may block, in *n* threads that start together, and return what came of each call, in order.

    It is `run_concurrently` for code that is not async: a client that waits for its answer, a pool of processes.

    Args:
        n: How many times.
        fn: Plain; called with the number of the call, from 0, if it takes an argument.
        timeout: Seconds for all of them.

    Raises:
        UsageError: *n* is less than 1.
        WaitTimeout: Some call did not end in time; the message has its number. Its thread cannot be ended from outside.

    >>> async def main():
    ...     return [outcome.value for outcome in await run_in_threads(3, lambda number: number * number)]
    >>> asyncio.run(main())
    [0, 1, 4]
    """
    call = checked_calls("run_in_threads", n, fn)
    checked_seconds("timeout", timeout)
    ends = begin_in_threads(n, call, "run_in_threads")
    await asyncio.wait(ends, timeout=timeout)
    late = [number for number, end in enumerate(ends) if not end.done()]
    if late:
        raise WaitTimeout(f"{len(late)} of {n} calls did not end within {timeout:g} s: {late[:20]}")
    return [end.result() for end in ends]
