"""`run_in_threads`: one function that blocks, called by many threads at the same time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Barrier, Thread
from typing import Any

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
    loop, barrier = asyncio.get_running_loop(), Barrier(n)
    ends = [loop.create_future() for _ in range(n)]

    def work(number: int) -> None:
        barrier.wait()
        try:
            result = call(number)
            outcome = result if isinstance(result, Outcome) else Outcome(result)
        except BaseException as error:  # noqa: BLE001 - it is what came of the call
            outcome = Outcome(error=error)
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            loop.call_soon_threadsafe(_settle, ends[number], outcome)

    for number in range(n):
        run = partial(contextvars.copy_context().run, work, number)
        Thread(target=run, name=f"run_in_threads-{number}", daemon=True).start()
    await asyncio.wait(ends, timeout=timeout)
    late = [number for number, end in enumerate(ends) if not end.done()]
    if late:
        raise WaitTimeout(f"{len(late)} of {n} calls did not end within {timeout:g} s: {late[:20]}")
    return [end.result() for end in ends]


def _settle(end: asyncio.Future[Outcome[Any]], outcome: Outcome[Any]) -> None:
    if not end.done():
        end.set_result(outcome)
