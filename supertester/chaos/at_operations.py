"""`at_operations`: chaos by the count of what the system is asked, and not by the clock."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from threading import get_ident
from typing import Any, TypeVar

from supertester._core.naming import describe
from supertester.chaos.chance import checked_count
from supertester.errors import UsageError

__all__ = ["at_operations"]

F = TypeVar("F", bound=Callable[..., Any])


def at_operations(operation: F, faults: Mapping[int, Callable[[], Any]]) -> F:
    """Return an operation that does the same, and lets chaos loose just before its *n*-th run.

    However fast the machine is, the fault comes at the same point of the work: for `run_load`, `run_concurrently`, or a
    loop. The operation may run in tasks or in threads; its own run waits until the fault has been delivered, the others
    do not.

    Args:
        operation: What is done many times, plain or async.
        faults: For each number of a run, from 1, what to do before it, plain or async.

    Raises:
        UsageError: There is no fault, or a number is below 1.
        TypeError: A number is none, or a fault cannot be called.

    >>> done = []
    >>> async def main():
    ...     add = at_operations(lambda: done.append("run"), {2: lambda: done.append("fault")})
    ...     for _ in range(3):
    ...         add()
    >>> asyncio.run(main())
    >>> done
    ['run', 'fault', 'run', 'run']
    """
    schedule = _Schedule(faults, describe(operation))
    if inspect.iscoroutinefunction(operation):

        @wraps(operation)
        async def run_async(*args: Any, **options: Any) -> Any:
            result = schedule.begin()
            if inspect.isawaitable(result):
                await result
            return await operation(*args, **options)

        return run_async  # type: ignore[return-value]

    @wraps(operation)
    def run(*args: Any, **options: Any) -> Any:
        result = schedule.begin()
        if inspect.isawaitable(result):
            schedule.wait_for(result)
        return operation(*args, **options)

    return run  # type: ignore[return-value]


class _Schedule:
    """Which fault is due, and the loop in which those that are async run."""

    def __init__(self, faults: Mapping[int, Callable[[], Any]], operation: str) -> None:
        if not faults:
            raise UsageError("at_operations: there is no fault; give {50: a function} for one at the 50th run")
        for number, fault in faults.items():
            checked_count("the number of a run", number)
            if not callable(fault):
                raise TypeError(f"at_operations: the fault of run {number} must be a function, got {fault!r}")
        self._due = dict(faults)
        self._numbers = itertools.count(1)  # To count on is one step for all threads.
        self._operation = operation
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()

    def begin(self) -> Any:
        """Take note of a run, and return what the fault that is due returns."""
        fault = self._due.pop(next(self._numbers), None)
        return None if fault is None else fault()

    def wait_for(self, result: Awaitable[Any]) -> None:
        """Wait, in a thread, for a fault that is async."""
        if get_ident() == self._thread:
            if inspect.iscoroutine(result):
                result.close()
            raise UsageError(
                f"at_operations: {self._operation} is not async and runs in the event loop, so it cannot wait for a "
                "fault that is; make it async, or run it in threads"
            )
        asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result()


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
