"""What others do with a process: call it, send to it, stop it. The sending half of messaging."""

from __future__ import annotations

import asyncio
import concurrent.futures
from asyncio.tasks import _enter_task, _leave_task, current_task
from collections.abc import Collection
from threading import get_ident
from typing import TYPE_CHECKING, Any

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit, UsageError
from supertester.otp.drive import PAUSE
from supertester.otp.life import UNOPENED, Life
from supertester.otp.messages import ENVELOPES, PENDING, Call, CastBox, Exit, Failure, Info, Terminate
from supertester.otp.reasons import INFINITY, KILL, KILLED, NOPROC, NORMAL, TIMEOUT, checked_reason, is_reason
from supertester.otp.runtime import CALLS_A_ROUND, DIRECT_TURNS, ProcessExited, Runtime, current

__all__ = ["Mailbox"]

_whose_code = current.get  # The interpreter makes a method of what is imported anew for each call.
_EAGER_TASKS: Collection[Any] = getattr(asyncio.tasks, "_eager_tasks", ())
"""Whose first step is taken inside of a step of whoever made them, which nothing may come between."""


class Mailbox(Life):
    """A process as others see it: they put messages in and wait for replies."""

    __slots__ = ()

    if TYPE_CHECKING:

        def run(self) -> None: ...

        def serve(self, slot: Call) -> None: ...

    async def call(self, request: Any, timeout: float = 5.0) -> Any:  # noqa: C901, PLR0915  # The hottest path, in one piece.
        runtime = self.runtime
        caller = _whose_code()
        if caller.__class__ is Runtime:
            caller = None
        if timeout != 5.0:
            checked_timeout(timeout)
        if self.exit_reason is not None or caller is self or runtime.doomed:
            self._check_call(caller, request, timeout)
        # An injected clock may move while the call waits for its turn; the loop's own hardly does, and asking it costs.
        began = runtime.clock.time() if runtime.injected_clock else None
        # What `Call.to` does, in line: nearly every call begins here.
        slot = Call()
        slot.request = request
        slot.caller = caller  # type: ignore[assignment]
        slot.process = self  # type: ignore[assignment]
        slot.value = PENDING
        slot.future = None
        if not self.scheduled and runtime.direct_calls and self._call_directly(slot):
            runtime.direct_turns -= 1
            if not runtime.direct_turns:  # Or callers that never wait would starve the loop.
                runtime.direct_turns = DIRECT_TURNS
                await PAUSE
        else:
            put = self.put
            if put is None:
                put = self.first_put()
            put(slot)
            task = None
            if not self.scheduled:
                self.scheduled = True
                # The next step of the caller's task is where `schedule` would put the turn of the server: it takes it
                # there.
                if runtime.ordinary and get_ident() == runtime.thread and not self.server._otp_needs_task:  # type: ignore[union-attr]
                    task = current_task(runtime.loop) if self.task is None else None
                if task is None:
                    runtime.schedule(self)  # type: ignore[arg-type]
                    if runtime.loop.is_closed():
                        raise CallExit(NOPROC, ("call", self, request, timeout))
            if task is not None and not runtime.upcoming and runtime.calls_left and task not in _EAGER_TASKS:
                runtime.calls_left -= 1  # That step would be all that the loop's next round runs, so it goes on here.
            else:
                runtime.calls_left = CALLS_A_ROUND
                try:
                    await PAUSE
                except BaseException:
                    if task is not None:
                        runtime.schedule(self)  # type: ignore[arg-type]
                    slot.abandon()
                    raise
            if task is not None:
                self._run_within(task)
        value = slot.value
        if value is PENDING:
            value = await self.answer(slot, timeout, began)
        if value.__class__ is Failure:
            raise CallExit(value.reason, ("call", self, request, timeout))
        return value

    def _run_within(self, task: asyncio.Task[Any]) -> None:
        """Take a turn inside *task*, which the handler must not see as its own."""
        loop = self.runtime.loop
        _leave_task(loop, task)
        try:
            self.context.run(self.run)
        finally:
            _enter_task(loop, task)

    def _check_call(self, caller: Any, request: Any, timeout: float) -> None:
        """Refuse a call that cannot succeed, or whose caller is dead already."""
        if caller in self.runtime.doomed:
            raise ProcessExited(caller.exit_reason)
        if self.exit_reason is not None:
            raise CallExit(NOPROC, ("call", self, request, timeout))
        if caller is self and self.runs_here():
            raise CallExit("calling_self", ("call", self, request, timeout))

    def runs_here(self) -> bool:
        """Whether it is the process itself that asks, so that it would wait for itself."""
        return self.task is not None and asyncio.current_task() is self.task

    async def answer(self, slot: Call, timeout: float, began: float | None = None) -> Any:
        """Return the value of *slot* once it has one: a `Failure`, *timeout* seconds after it *began*, or after now."""
        runtime = self.runtime
        if get_ident() != runtime.thread:
            there = asyncio.run_coroutine_threadsafe(self.answer(slot, timeout, began), runtime.loop)
            return await asyncio.wrap_future(there)
        if slot.value is PENDING and self.exit_reason is not None:
            slot.settle(Failure(self.exit_reason))  # Sent by another thread at the moment of death.
        if slot.value is PENDING:
            slot.future = runtime.loop.create_future()
            timer = runtime.expect(slot, timeout, began)
            try:
                await slot.future
            except BaseException:
                slot.abandon()
                raise
            finally:
                if timer is not None:
                    timer.cancel()
        return slot.value

    def call_threadsafe(self, request: Any, timeout: float = 5.0) -> Any:
        if get_ident() == self.runtime.thread:
            raise UsageError(
                "call_threadsafe() would block the event loop it waits for; use `await pid.call(...)` here"
            )
        if self.exit_reason is not None or self.runtime.loop.is_closed():
            raise CallExit(NOPROC, ("call", self, request, timeout))
        there = asyncio.run_coroutine_threadsafe(self.call(request, timeout), self.runtime.loop)
        try:
            # The loop keeps the time; the second more is for a loop that runs no longer.
            return there.result(None if timeout == INFINITY else timeout + 1.0)
        except concurrent.futures.TimeoutError:
            there.cancel()
            raise CallExit(TIMEOUT, ("call", self, request, timeout)) from None

    def _call_directly(self, slot: Call) -> bool:
        """Let the idle server handle *slot* inside the caller; say whether it did."""
        if self.queue or self.task is not None or self.attention or get_ident() != self.runtime.thread:
            return False
        if self.server._otp_needs_task:  # type: ignore[union-attr]
            return False
        self.scheduled = True
        if self.queue is UNOPENED:
            self.open_mailbox()
        self.context.run(self.serve, slot)
        return True

    def cast(self, message: Any) -> None:
        runtime = self.runtime
        if runtime.doomed and current.get() in runtime.doomed:
            raise ProcessExited
        if message.__class__ in ENVELOPES:
            message = CastBox(message)
        put = self.put
        if put is None:
            put = self.first_put()
        put(message)
        if not self.scheduled:
            self.scheduled = True
            runtime.schedule(self)  # type: ignore[arg-type]

    def send(self, message: Any) -> None:
        runtime = self.runtime
        if runtime.doomed and current.get() in runtime.doomed:
            raise ProcessExited
        self.deliver(Info(message))

    def exit(self, reason: Any) -> None:
        runtime = self.runtime
        if get_ident() != runtime.thread:
            runtime.check_thread("exit")
        if runtime.doomed and current.get() in runtime.doomed:
            raise ProcessExited
        if self.exit_reason is not None:
            return
        if reason is KILL or is_reason(checked_reason(reason), KILL):
            self.die(KILLED)
        else:
            sender = current.get()
            self.take_exit(Exit(None if sender.__class__ is Runtime else sender, reason))  # type: ignore[arg-type]

    async def stop(self, reason: Any = NORMAL, timeout: float = INFINITY) -> None:
        call = ("stop", self, checked_reason(reason), checked_timeout(timeout))
        if self.exit_reason is not None:
            raise CallExit(NOPROC, call)
        if self.runs_here():
            raise CallExit("calling_self", call)
        ended = Call.to(self, reason)  # type: ignore[arg-type]
        forget = self.on_exit(lambda _: ended.reply(None))
        self.deliver(Terminate(reason))
        try:
            value = await self.answer(ended, timeout)
        finally:
            forget()
        if value.__class__ is Failure:
            raise CallExit(value.reason, call)
        if not is_reason(self.exit_reason, reason):
            raise CallExit(self.exit_reason, call)
