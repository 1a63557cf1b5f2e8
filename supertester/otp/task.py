"""`Task`: a process that runs one function and ends (rule 32)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit
from supertester.otp.drive import wake
from supertester.otp.genserver import GenServer, spawn
from supertester.otp.messages import PENDING, Failure
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY, NORMAL, TIMEOUT
from supertester.otp.results import Continue, Stop
from supertester.otp.runtime import current, current_runtime

__all__ = ["Task"]


class _TaskServer(GenServer):
    """Runs the function in its first continue, so that whoever starts it need not wait."""

    def init(self, fn: Callable[..., Any], args: tuple[Any, ...], done: Callable[[Any], object] | None = None) -> Any:
        return Continue((fn, args, done))

    async def handle_continue(self, arg: Any) -> Any:
        fn, args, done = arg
        result = fn(*args)
        if inspect.isawaitable(result):
            result = await result
        if done is not None:
            done(result)
        return Stop(NORMAL)


class Task:
    """A function, plain or async, that runs in a process of its own.

    ``Task.start_link(fn, *args)`` and ``Task.start`` give the pid and forget the result, e.g. as a supervised child;
    ``Task.async_(fn, *args)`` gives a `Task` to await, once or often.

    >>> import asyncio
    >>> async def main():
    ...     return await Task.async_(sum, [1, 2, 3])
    >>> asyncio.run(main())
    6
    """

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        here = current.get()
        runtime = current_runtime()
        owner = here if isinstance(here, Process) and here.runtime is runtime else None
        self._function = fn
        self._value: Any = PENDING
        self._waiting: set[asyncio.Future[None]] = set()
        self._process = spawn(runtime, _TaskServer, (fn, args, self._settle), {}, None, owner, owner)
        self._process.on_exit(lambda process: self._settle(Failure(process.exit_reason)))

    @property
    def pid(self) -> Pid:
        """The process that runs the function."""
        return self._process

    @staticmethod
    async def start_link(fn: Callable[..., Any], *args: Any) -> Pid:
        """Run ``fn(*args)`` in a process linked to the current one and return its pid."""
        return await _TaskServer.start_link(fn, args)

    @staticmethod
    async def start(fn: Callable[..., Any], *args: Any) -> Pid:
        """Run ``fn(*args)`` in a process without a link and return its pid."""
        return await _TaskServer.start(fn, args)

    @classmethod
    def async_(cls, fn: Callable[..., Any], *args: Any) -> Task:
        """Run ``fn(*args)`` in a process linked to the current one and return a `Task` to await."""
        return cls(fn, args)

    async def result(self, timeout: float = 5.0) -> Any:
        """Return the function's result.

        Raises:
            CallExit: The task failed (its exit reason, with the exception as the cause), or is not done in time.
        """
        call = ("await", self._process, self._function, checked_timeout(timeout))
        if self._value is PENDING:
            runtime = self._process.runtime
            done = runtime.loop.create_future()
            self._waiting.add(done)
            timer = None if timeout == INFINITY else runtime.clock.call_at(runtime.clock.time() + timeout, wake, done)
            try:
                await done
            finally:
                self._waiting.discard(done)
                if timer is not None:
                    timer.cancel()
        value = Failure(TIMEOUT) if self._value is PENDING else self._value
        if value.__class__ is Failure:
            raise CallExit(value.reason, call)
        return value

    def _settle(self, value: Any) -> None:
        if self._value is PENDING:
            self._value = value
            for done in self._waiting:
                wake(done)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()
