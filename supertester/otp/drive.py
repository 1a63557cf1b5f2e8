"""Stepping a user's coroutine so that a kill cannot be swallowed.

``Task.cancel()`` is a request that a coroutine may ignore. So the task of a process runs library code, and that code
steps the user's coroutine by hand: once the process is dead, the coroutine is closed and never stepped again, whatever
it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from supertester._core.awaits import await_chain
from supertester.otp.messages import PENDING

if TYPE_CHECKING:
    from supertester.otp.process import Process

__all__ = ["PAUSE", "bury", "drive", "wake"]

_PLAIN_FUTURE: Final = asyncio.Future


class _Pause(tuple[None]):
    """``await PAUSE`` lets everything that is scheduled run once.

    An awaitable made of C alone, since no await is hotter: the iterator over ``(None,)`` is a bare ``yield``.
    """

    __slots__ = ()
    __await__ = tuple.__iter__


PAUSE: Final[Awaitable[None]] = _Pause((None,))  # type: ignore[assignment]  # An iterator does for a bare `yield`.


def wake(future: asyncio.Future[None]) -> None:
    """Let whoever waits for *future* go on."""
    if not future.done():
        future.set_result(None)


@coroutine
def drive(process: Process, steps: Coroutine[Any, Any, Any], waiting: Any = PENDING) -> Generator[Any, Any, Any]:
    """Run *steps* to its end and return its result, unless *process* dies first: then close it.

    *waiting* is what the coroutine waits for already, if its first step was taken elsewhere.
    """
    error: BaseException | None = None
    while True:
        if waiting is PENDING:
            try:
                waiting = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
        if not process.is_alive():  # Killed by its own last step.
            bury(process, steps)
            raise asyncio.CancelledError
        try:
            if waiting is None or waiting.__class__ is _PLAIN_FUTURE or getattr(waiting, "is_plain", False):
                yield waiting
            else:
                yield from _wait_for(process, waiting)
        except BaseException as caught:
            if not process.is_alive():
                bury(process, steps)
                raise
            # Also a cancellation: ``asyncio.timeout`` and task groups inside a handler depend on it.
            error = caught
        waiting = PENDING


def _wait_for(process: Process, inner: Any) -> Generator[Any, Any, None]:
    """Wait for a task, a gathering, or any other future that takes its time to be cancelled.

    A kill must not wait until *inner* has obeyed, so a future of our own stands between.
    """
    inner._asyncio_future_blocking = False
    while not inner.done():
        outer = process.runtime.loop.create_future()

        def go_on(_: object, outer: asyncio.Future[None] = outer) -> None:
            wake(outer)

        inner.add_done_callback(go_on)
        try:
            yield from outer
        except asyncio.CancelledError:
            inner.remove_done_callback(go_on)
            obeys = inner.cancel()
            if process.exit_reason is not None and not isinstance(inner, asyncio.Task):
                inner.add_done_callback(_retrieve)  # A gathering complains of a cancellation that nobody looks at.
            if process.exit_reason is not None or not obeys:
                raise


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _keep_for_ever(resisting: object) -> None:
    """Keep a coroutine that resisted its end from the garbage collector, which would step it once more.

    Also at the exit of the program, when lists and modules are emptied: a loop that swallows everything would hang it.
    """
    import ctypes  # Hardly ever needed.

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(resisting))


def bury(process: Process, steps: Coroutine[Any, Any, Any]) -> None:
    """Close the coroutine of a dead process: its ``finally`` blocks run, but may not wait."""
    chain = await_chain(steps)
    try:
        if type(chain[-1]).__name__ in ("async_generator_asend", "async_generator_athrow"):
            # Closing would leave the async generator "running" for ever (CPython before 3.13); an exception ends it.
            steps.throw(asyncio.CancelledError())
        steps.close()
    except BaseException:  # noqa: BLE001
        pass  # Whatever it says, nobody listens any more.
    resisting = [each for each in chain if getattr(each, "cr_frame", None) is not None]
    if resisting:
        for each in resisting:
            _keep_for_ever(each)
        process.resisted_kill = True
        process.runtime.resisted_kills += 1
