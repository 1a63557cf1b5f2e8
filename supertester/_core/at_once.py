"""Calls that block, in threads that start together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Barrier, Thread
from typing import Any

from supertester._core.outcome import Outcome

__all__ = ["begin_in_threads"]


def begin_in_threads(n: int, call: Callable[[int], Any], name: str) -> list[asyncio.Future[Outcome[Any]]]:
    """Call *call* with the numbers from 0 in *n* threads, and return a future for what comes of each.

    No thread can be ended from outside; one that does not come back does not hold up the end of the program.
    """
    loop, barrier = asyncio.get_running_loop(), Barrier(n)
    ends: list[asyncio.Future[Outcome[Any]]] = [loop.create_future() for _ in range(n)]

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
        Thread(target=run, name=f"{name}-{number}", daemon=True).start()
    return ends


def _settle(end: asyncio.Future[Outcome[Any]], outcome: Outcome[Any]) -> None:
    if not end.done():
        end.set_result(outcome)
