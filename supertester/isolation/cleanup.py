"""Undoing what a test did: callbacks and processes in one order, the newest first, within one deadline.

A supervisor is stopped before its children, by stopping it: it then stops them itself, in reverse order. Each process
gets the chance to end gracefully and is killed when it does not take it. No failure stops the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from supertester._core.naming import describe
from supertester.context import IsolationContext
from supertester.errors import CallExit
from supertester.isolation import world
from supertester.isolation.tasks import end_tasks
from supertester.otp.process import Process
from supertester.otp.reasons import KILL, SHUTDOWN
from supertester.otp.supervision import BaseSupervisor

__all__ = ["CleanupTimeout", "has_work", "unwind"]

_GRACE = 1.0
"""Seconds that a worker has to end gracefully; a supervisor has as long as its children may take."""
_LAST_CHANCE = 0.1
"""Seconds that a callback gets when the time for the whole cleanup is over."""


class CleanupTimeout(Exception):
    """A cleanup did not end in time."""


def has_work(context: IsolationContext) -> bool:
    """Say whether there is anything to undo."""
    return bool(context.cleanups or world.leftover(context))


async def unwind(context: IsolationContext, deadline: float, errors: list[BaseException]) -> None:
    """Run the cleanups of *context* and stop its processes.

    Can be called again after it was interrupted, and goes on where it was.

    Args:
        context: The test's.
        deadline: When all of it has to be over, on the loop's clock.
        errors: Gets what fails.
    """
    loop = asyncio.get_running_loop()
    while True:
        processes = world.stoppable(context)
        if not processes and not context.cleanups:
            return
        while processes or context.cleanups:
            newest = context.newest_process()
            mark = context.cleanups[-1][0] if context.cleanups else -1
            if processes and processes[-1].id > mark:
                process = processes.pop()
                if process.exit_reason is None:
                    await _stop(process, deadline - loop.time())
            else:
                _, callback = context.cleanups.pop()
                await _call(callback, deadline, errors)
            if context.newest_process() > newest:
                break  # Something was started meanwhile: it is the newest now.


async def _stop(process: Process, left: float) -> None:
    """End *process* gracefully, or else kill it."""
    kind = process.initial_call
    is_supervisor = isinstance(kind, type) and issubclass(kind, BaseSupervisor)
    grace = max(0.0, left if is_supervisor else min(left, _GRACE))
    try:
        await process.stop(SHUTDOWN, timeout=grace)
    except CallExit:
        pass  # It ended otherwise, or not at all.
    finally:
        if process.exit_reason is None:
            process.exit(KILL)


async def _call(callback: Callable[[], object], deadline: float, errors: list[BaseException]) -> None:
    """Call *callback*, awaiting what it returns in a task of its own, which can be given up."""
    loop = asyncio.get_running_loop()
    try:
        result = callback()
        if not isawaitable(result):
            return
        task = asyncio.ensure_future(_awaited(result))
    except BaseException as error:  # noqa: BLE001 - raised when all is undone
        errors.append(error)
        return
    timeout = max(deadline - loop.time(), _LAST_CHANCE)
    try:
        await asyncio.wait({task}, timeout=timeout)
    except BaseException:
        # The cleanup as a whole is interrupted; this callback has had its turn.
        task.cancel()
        raise
    if task.done():
        _collect(task, errors)
        return
    refused = await end_tasks([task], _LAST_CHANCE)
    ending = " and would not end when it was cancelled" if refused else ""
    errors.append(CleanupTimeout(f"cleanup {describe(callback)} did not end within {timeout:.3g} s{ending}"))


async def _awaited(result: Any) -> Any:
    return await result


def _collect(task: asyncio.Task[Any], errors: list[BaseException]) -> None:
    if task.cancelled():
        errors.append(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        errors.append(error)
