"""The first operation of a load, which tells whether they are async."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from threading import Event, Lock, Thread
from typing import Any

from supertester.performance.load.recorder import NotFinished, Recorder

__all__ = ["FirstOperation"]

now = time.perf_counter_ns


class FirstOperation:
    """One operation of user *number*, begun in a thread of its own, and noted once when it has ended or is given up.

    Attributes:
        ended: Set when its user may go on.
    """

    def __init__(self, operation: Callable[[int], Any], number: int, recorder: Recorder) -> None:
        self.number = number
        self.ended = Event()
        self._operation = operation
        self._recorder = recorder
        self._noted = False
        self._lock = Lock()
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[Any] = self._loop.create_future()
        self._began = now()
        context = contextvars.copy_context()
        name = f"supertester-load-user-{number}-first"
        Thread(target=context.run, args=(self._run,), name=name, daemon=True).start()

    def _run(self) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = self._operation(self.number)
        except Exception as caught:  # noqa: BLE001 - of the system under test
            error = caught
        if not isinstance(result, Awaitable):
            self._note(error)
        try:
            self._loop.call_soon_threadsafe(self._returned, result)
        except RuntimeError:  # It was given up, and its loop is closed.
            self._note(None)

    def _returned(self, result: Any) -> None:
        if not self._result.done():
            self._result.set_result(result)
        elif isinstance(result, Awaitable):  # Nobody thought that it would be async.
            bridge = asyncio.ensure_future(self.finish(result))
            self._bridge = bridge

    async def result(self, seconds: float) -> Any:
        """Return what it returns within *seconds*, or ``None``."""
        # Not by `wait_for`, which forgets a result that comes in the very turn of the loop in which the time is up.
        try:
            await asyncio.wait([self._result], timeout=seconds)
        finally:
            is_late = self._result.cancel()
        return None if is_late else self._result.result()

    async def finish(self, result: Awaitable[Any]) -> None:
        """Wait for the *result* of an async operation."""
        error: Exception | None = None
        try:
            await result
        except Exception as caught:  # noqa: BLE001 - of the system under test
            error = caught
        finally:
            self._note(error)

    def give_up(self) -> None:
        """Note it as not finished if it has not ended."""
        self._note(NotFinished())

    def _note(self, error: Exception | None) -> None:
        with self._lock:
            if self._noted:
                return
            self._noted = True
        self._recorder.note(self._began, self._began, now(), error)
        self.ended.set()
