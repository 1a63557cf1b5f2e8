"""`Task`: a process that runs one function and ends (rule 32)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit
from supertester.otp.genserver import GenServer, spawn
from supertester.otp.messages import PENDING, Call, Failure
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import NORMAL
from supertester.otp.results import Continue, Stop
from supertester.otp.runtime import Runtime, current, current_runtime

__all__ = ["Task"]


class _TaskServer(GenServer):
    """Runs the function in its first continue, so that whoever starts it need not wait."""

    def init(self, fn: Callable[..., Any], args: tuple[Any, ...], answer: Call | None = None) -> Any:
        return Continue((fn, args, answer))

    async def handle_continue(self, arg: Any) -> Any:
        fn, args, answer = arg
        result = fn(*args)
        if inspect.isawaitable(result):
            result = await result
        if answer is not None:
            answer.reply(result)
        return Stop(NORMAL)


class Task:
    """A function, plain or async, that runs in a process of its own.

    ``Task.start_link(fn, *args)`` and ``Task.start`` give the pid and forget the result, e.g. as a supervised child;
    ``Task.async_(fn, *args)`` gives a `Task` to await.

    >>> import asyncio
    >>> async def main():
    ...     return await Task.async_(sum, [1, 2, 3])
    >>> asyncio.run(main())
    6
    """

    def __init__(self, pid: Process, answer: Call) -> None:
        self.pid: Pid = pid
        self._process = pid
        self._answer = answer
        pid.on_exit(lambda process: _fail(answer, process.exit_reason))

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
        here = current.get()
        owner = None if here is None or isinstance(here, Runtime) else here
        runtime = current_runtime() if owner is None else owner.runtime
        answer = Call(fn, owner, None)  # type: ignore[arg-type]
        process = spawn(runtime, _TaskServer, (fn, args, answer), {}, None, owner, link=owner is not None)
        answer.process = process
        return cls(process, answer)

    async def result(self, timeout: float = 5.0) -> Any:
        """Return the function's result.

        Raises:
            CallExit: The task failed (its exit reason, with the exception as the cause), or is not done in time.
        """
        value = await self._process.answer(self._answer, checked_timeout(timeout))
        if value.__class__ is Failure:
            raise CallExit(value.reason, ("await", self.pid, self._answer.request, timeout))
        return value

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()


def _fail(answer: Call, reason: Any) -> None:
    if answer.value is PENDING:
        answer.settle(Failure(reason))
