"""The process: the loop that empties its mailbox, and what the results of its handlers mean.

A process whose server has only plain callbacks needs no asyncio task: one ``call_soon`` empties its mailbox. A server
with ``async def`` callbacks gets a task with its first message, and keeps it. Both run the same loop,
`Process.drain`; where a callback has to be awaited, that hands the coroutine back and goes on with its result later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import repeat
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from supertester._core.live_tasks import tasks_of
from supertester.otp.drive import bury, drive
from supertester.otp.life import BARE, INIT, UNOPENED, Init
from supertester.otp.mailbox import Mailbox
from supertester.otp.messages import (
    ENVELOPES,
    PENDING,
    Barrier,
    Call,
    CastBox,
    ContinueMark,
    Down,
    Exit,
    Failure,
    Info,
    System,
    SystemEvent,
    Terminate,
    TimeoutMark,
    payload_of,
)
from supertester.otp.reasons import INFINITY, KILLED, NORMAL, TIMEOUT, Crash
from supertester.otp.results import NOTHING, SPECIAL, Continue, Ignore, NoReply, Reply, Stop
from supertester.otp.runtime import current

if TYPE_CHECKING:
    from supertester.otp.genserver import GenServer

__all__ = ["Pending", "Process", "entered"]


class _Stopping:
    """In place of a message: the server's ``terminate``, and what follows it."""

    __slots__ = ("call", "reason", "reply")

    def __init__(self, reason: Any, call: Call | None = None, reply: Any = NOTHING) -> None:
        self.reason = reason
        self.call = call
        self.reply = reply


_set_current = current.set  # The interpreter makes a method of what is imported anew for each call.
_TIMEOUT_MARK: Final = TimeoutMark()

Pending = tuple[Any, Coroutine[Any, Any, Any], Any]
"""A message, the coroutine that handles it, and what that waits for already (or ``PENDING``)."""


class Process(Mailbox):
    """A process of the embedded runtime. Users know it as a `Pid`."""

    __slots__ = ()

    # Not by the loop's factory: an eager one would enter the context of the process a second time.
    new_task: Callable[..., asyncio.Task[None]] = asyncio.Task

    # Running -----------------------------------------------------------------------------------------------------

    def start_in_task(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the server's ``init`` in the task of the process; `started` is to be awaited."""
        assert self.server is not None
        self.started = self.runtime.loop.create_future()
        self.begin_task((INIT, entered(self.server, args, kwargs), PENDING))

    def start_plainly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the server's ``init``, in the context of the process.

        Afterwards the process is ready, or dead, or `started` is to be awaited.
        """
        _set_current(self)
        server = self.server
        assert server is not None
        try:
            result: Any
            if server._otp_supervises:
                result = server._otp_enter(args, kwargs)
            else:  # Most take no arguments, and to unpack none takes as long as all the rest of the call.
                result = server.init(*args, **kwargs) if args or kwargs else server.init()
        except BaseException as error:  # noqa: BLE001
            self._failed_or_interrupted(INIT, error)
            self._unwound()
            return
        kind = result.__class__
        if kind in SPECIAL or kind is Ignore or self.exit_reason is not None:
            if (pending := self._special(INIT, result)) is not None:
                self.started = self.runtime.loop.create_future()
                self.begin_task(pending)
                return
            if self.exit_reason is not None:
                self._unwound()
                return
        else:
            server.state = result
            if self.queue is UNOPENED and not self.runtime.idle_watches:
                context = self.context
                # `current`, and nothing that `init` or its starter had set. Who has a name is sent to soon.
                if self.name is None and len(context) == 1:
                    self.context = BARE
                self.current = None
                self.scheduled = False
                if self.queue is UNOPENED:  # Still: no other thread has sent anything meanwhile.
                    return
                self.context = context
                self.scheduled = True
        self._rest()

    def run(self) -> None:
        """Empty the mailbox; called by the event loop, in the context of the process."""
        queue = self.queue
        if self.task is not None:
            self.unpark()
            return
        if len(queue) != 1 or self.attention:
            self._after(self.drain() if self.exit_reason is None else None)
            return
        entry = queue.popleft()
        if entry.__class__ is Call:
            self.serve(entry)
        elif (pending := self._take(entry)) is None and self.exit_reason is None:
            self._rest()
        else:
            self._after(pending)

    def serve(self, slot: Call) -> None:
        """Handle the one call to an idle server: the commonest turn of all, so what `drain` and `_rest` do, in line."""
        self.current = slot
        self.handled += 1
        if self.record is not None:
            self.record.append(slot)
        try:
            result = self.server.handle_call(slot.request, slot)  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001
            pending = self._failed_or_interrupted(slot, error)
        else:
            if result.__class__ not in SPECIAL and slot.value is PENDING and self.unanswered is None:
                # Not dead either, for then the slot had been failed.
                slot.value = result
                if (future := slot.future) is not None and not future.done():
                    future.set_result(None)
                self.current = None
                self.scheduled = False
                if self.queue or self.runtime.idle_watches:
                    self.scheduled = True
                    self._rest()
                return
            pending = self._special(slot, result)
        self._after(pending)

    def _take(self, entry: Any) -> Pending | None:
        """Handle the one message, no call, of an idle server: what `drain` does, without its loop."""
        kind = entry.__class__
        self.current = entry
        if kind is not System and kind is not Barrier:
            self.handled += 1
            if self.record is not None:
                self.record.append(entry)
        try:
            result = self._handle(entry, kind) if kind in ENVELOPES else self.server.handle_cast(entry)  # type: ignore[union-attr]
            return None if result is None else self._special(entry, result)
        except BaseException as error:  # noqa: BLE001
            return self._failed_or_interrupted(entry, error)

    def _after(self, pending: Pending | None) -> None:
        """Go on after a turn without a task."""
        if pending is not None:
            self.begin_task(pending)
        elif self.exit_reason is not None:
            self._unwound()
        else:
            self._rest()

    def drain(self) -> Pending | None:  # noqa: C901  # One loop, kept in one piece for speed.
        """Handle the messages in the mailbox; return one whose handler has to be awaited, if there is one."""
        queue = self.queue
        popleft = queue.popleft
        server = self.server
        assert server is not None
        record = None if self.record is None else self.record.append
        left = self.runtime.budget
        while queue and left > 0:
            turns = min(len(queue), left)
            left -= turns
            for _ in repeat(None, turns):
                if self.attention:
                    entry = self._attend()
                    if entry is None:
                        return None
                else:
                    entry = popleft()
                kind = entry.__class__
                self.current = entry
                if kind is not System and kind is not Barrier:  # Whoever looks leaves no trace in the counts.
                    self.handled += 1
                    if record is not None:
                        record(entry)
                try:
                    if kind is Call:
                        result = server.handle_call(entry.request, entry)
                        # What `Call.reply` does, in line: nearly every call ends here. The process lives, for else the
                        # entry had been failed; a tracer, who wants to hear of it, would have our attention.
                        if (
                            result.__class__ not in SPECIAL
                            and entry.value is PENDING
                            and self.unanswered is None
                            and not self.attention
                        ):
                            entry.value = result
                            if (future := entry.future) is not None and not future.done():
                                future.set_result(None)
                            continue
                        if result.__class__ in SPECIAL or self.exit_reason is not None:
                            pending = self._special(entry, result)
                            if pending is not None:
                                return pending
                        else:
                            entry.reply(result)
                    else:
                        result = self._handle(entry, kind) if kind in ENVELOPES else server.handle_cast(entry)
                        if result is not None:
                            pending = self._special(entry, result)
                            if pending is not None:
                                return pending
                except BaseException as error:  # noqa: BLE001
                    pending = self._failed_or_interrupted(entry, error)
                    if pending is not None:
                        return pending
                if self.exit_reason is not None:
                    return None
        return None

    def _abandon(self, pending: Pending | None) -> None:
        """The program is being interrupted: end without waiting for `terminate`."""
        if pending is not None:
            bury(self, pending[1])
        self.die(KILLED)
        self._unwound()

    def is_ending(self) -> bool:
        """Whether it is dead, or somebody has cancelled its task."""
        return self.exit_reason is not None or (self.task is not None and self.task.cancelling() > 0)

    def _attend(self) -> Any:
        """Choose the next message where something unusual is on: a timeout, a suspension or a tracer."""
        queue = self.queue
        if self.suspended:
            # A copy, since other threads may add to it meanwhile; they do so at its end, so the index holds.
            index = next((index for index, entry in enumerate(list(queue)) if self._is_urgent(entry)), None)
            if index is None:
                return None
            entry = queue[index]
            del queue[index]
        elif not queue:
            return None
        else:
            entry = queue.popleft()
        if self.timer is not None and entry.__class__ is not ContinueMark:  # Which is no message.
            self.timer.cancel()
            self.timer = None
            if isinstance(entry, System):
                self._next(NOTHING, self.timeout)  # As in OTP: looking at a server starts its timeout anew, in full.
            self.heed()
        if self.tracer is not None and not isinstance(entry, System):
            self.current = entry
            self.report(*payload_of(entry))
            if self.exit_reason is not None:
                return None  # The tracer ended it.
        return entry

    def _is_urgent(self, entry: Any) -> bool:
        """Whether *entry* is served while the process is suspended."""
        kind = entry.__class__
        return kind is System or kind is Terminate or (kind is Exit and entry.pid is self.parent)

    def heed(self) -> None:
        """Note whether anything unusual is on that the loop has to look at."""
        self.attention = (
            self.suspended or self.timer is not None or self.tracer is not None or self.interceptors is not None
        )

    def report(self, kind: str, payload: Any, to: Process | None = None) -> None:
        """Tell the tracer, if there is one."""
        if self.tracer is not None:
            try:
                self.tracer(SystemEvent(self, kind, payload, self.runtime.clock.time(), to))
            except Exception as error:  # noqa: BLE001  # The tracer's fault is not the server's.
                self.tracer = None
                self.runtime.loop.call_exception_handler({"message": f"tracer of {self!r} failed", "exception": error})

    def _handle(self, entry: Any, kind: type) -> Any:  # noqa: C901  # The table of all messages.
        """Handle a message that is neither a call nor a plain cast."""
        server = self.server
        assert server is not None
        if kind is Info:
            return server.handle_info(entry.message)
        if kind is Exit:
            if entry.pid is self.parent and self.parent is not None:
                return Stop(entry.reason)
            if server._otp_steps_eagerly:
                return server._otp_child_ended(entry)  # type: ignore[attr-defined]
            return server.handle_info(entry)
        if kind is System or kind is Barrier:
            value = entry.request(self)
            if value.__class__ is CoroutineType:
                return value
            entry.reply(value)
            return None
        if kind is Down:
            return server.handle_info(entry)
        if kind is CastBox:
            return server.handle_cast(entry.message)
        if kind is ContinueMark:
            self.handled -= 1  # Nobody sent it.
            return server.handle_continue(entry.arg)
        if kind is TimeoutMark:
            self.handled -= 1
            return server.handle_info(TIMEOUT)
        return Stop(entry.reason)

    # Results -----------------------------------------------------------------------------------------------------

    def _special(self, entry: Any, result: Any) -> Pending | None:
        """Do what the *result* of handling *entry* asks for, where that is more than a plain reply."""
        kind = result.__class__
        if kind is CoroutineType:
            if not self.server._otp_steps_eagerly:  # type: ignore[union-attr]
                return entry, result, PENDING
            try:
                return entry, result, result.send(None)
            except StopIteration as stop:
                return self._settled(entry, stop.value)
            except BaseException as error:  # noqa: BLE001
                return self._failed_or_interrupted(entry, error)
        return self._settled(entry, result)

    def _settled(self, entry: Any, result: Any) -> Pending | None:  # noqa: C901  # The table of all results.
        """Take the final *result* of handling *entry*."""
        if self.exit_reason is not None:
            return None  # Doomed by its own action: the result counts no more.
        role = entry.__class__
        if role is _Stopping:
            self._end(entry)
            return None
        kind = result.__class__
        if kind is Stop:
            return self._stop(_Stopping(result.reason, entry if role is Call else None, result.reply))
        if role is Init:
            return self._settled_init(result)
        if kind is Continue:
            if result.state is not NOTHING:
                self.server.state = result.state  # type: ignore[union-attr]
            self._next(result.arg, result.timeout)
        elif kind is NoReply:
            self._next(result.continue_, result.timeout)
        elif role is Call:
            if kind is Reply:
                self._next(result.continue_, result.timeout)
                result = result.value
            entry.reply(result)
            return None
        elif role is System:
            entry.reply(result)
        elif result is not None:
            return self._stop(_Stopping(("bad_return_value", result)))
        if role is Call and entry.value is PENDING:
            if self.unanswered is None:
                self.unanswered = {}
            self.unanswered[entry] = None
        return None

    def _settled_init(self, result: Any) -> Pending | None:
        kind = result.__class__
        if kind is Ignore:
            self.ignored = True
            self.die(NORMAL)
            return None
        assert self.server is not None
        if kind is Continue:
            self.server.state = None if result.state is NOTHING else result.state
            self._next(result.arg, result.timeout)
        elif kind is Reply:
            self.server.state = result.value
            self._next(result.continue_, result.timeout)
        elif kind is NoReply:
            self.die(("bad_return_value", result))
        else:
            self.server.state = result
        self.current = None
        if self.started is not None and not self.started.done():
            self.started.set_result(None)
        return None

    def _next(self, arg: Any, timeout: float | None) -> None:
        if arg is not NOTHING:
            self.open_mailbox().appendleft(ContinueMark(arg))
        if timeout is not None and timeout != INFINITY:
            if self.timer is not None:
                self.timer.cancel()
            clock = self.runtime.clock
            self.timeout = timeout
            self.timer = clock.call_at(clock.time() + timeout, self._timed_out)
            self.attention = True

    def _timed_out(self) -> None:
        if self.timer is not None and self.exit_reason is None:
            self.timer = None
            self.heed()
            if not self.queue:
                self.open_mailbox().append(_TIMEOUT_MARK)
                if not self.scheduled:
                    self.scheduled = True
                    self.runtime.schedule(self)

    def _failed(self, entry: Any, error: BaseException) -> Pending | None:
        """An exception left the handler of *entry*."""
        if self.exit_reason is not None:
            return None
        if entry.__class__ is _Stopping:
            entry.reason = Crash(error)
            self._end(entry)
            return None
        if entry.__class__ is Init:
            self.die(Crash(error))
            return None
        if isinstance(entry, System):
            entry.reply(Failure(Crash(error)))
            return None
        return self._stop(_Stopping(Crash(error)))

    def _failed_or_interrupted(self, entry: Any, error: BaseException) -> Pending | None:
        pending = self._failed(entry, error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._abandon(pending)
            raise error
        return pending

    def _stop(self, stopping: _Stopping) -> Pending | None:
        """Run ``terminate`` and end."""
        if self.current.__class__ is Init:
            self._end(stopping)  # `init` refused: there is nothing to terminate.
            return None
        try:
            result = self.server.terminate(stopping.reason)  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001
            return self._failed_or_interrupted(stopping, error)
        if result.__class__ is CoroutineType:
            return self._special(stopping, result)
        return self._settled(stopping, result)

    def _end(self, stopping: _Stopping) -> None:
        if stopping.call is not None and stopping.reply is not NOTHING:
            stopping.call.reply(stopping.reply)
        self.die(stopping.reason)

    def _rest(self) -> None:
        """Nothing is being handled: go on with what has come meanwhile, or be idle."""
        self.current = None
        if self.queue and not self._only_waits():
            self.runtime.schedule(self)
            return
        self.scheduled = False
        # Another thread may have seen the flag before it fell, after we had seen the mailbox empty; look again.
        if self.queue and not self._only_waits() and not self.scheduled:
            self.scheduled = True
            self.runtime.schedule(self)
        elif self.runtime.idle_watches:
            self.runtime.now_resting(self)

    def _only_waits(self) -> bool:
        return self.suspended and not any(map(self._is_urgent, list(self.queue)))

    # The task, where there is one --------------------------------------------------------------------------------

    def begin_task(self, pending: Pending | None) -> None:
        """Go on in a task: with *pending*, then with the mailbox."""
        runtime = self.runtime
        self.begun = False
        self.parked = None
        task = self.task = self.new_task(self._work(pending), loop=runtime.loop, context=self.context)
        task.supertester_pid = self  # type: ignore[attr-defined]
        runtime.tasks.add(task)
        task.add_done_callback(partial(self._task_done, pending and pending[1]))

    async def _work(self, pending: Pending | None) -> None:  # noqa: C901  # One life, from start to end.
        self.begun = True
        current.set(self)
        task = self.task
        assert task is not None
        try:
            while True:
                while pending is not None:
                    entry, steps, waiting = pending
                    if not self.is_alive():
                        bury(self, steps)
                        return
                    pending = None
                    self.steps = steps
                    try:
                        result = await drive(self, steps, waiting)
                    except BaseException as error:
                        if not self.is_alive():
                            return
                        if isinstance(error, asyncio.CancelledError) and task.cancelling():
                            self._cancelled_from_outside()
                            raise
                        pending = self._failed_or_interrupted(entry, error)
                    else:
                        if task.cancelling() and self.is_alive():
                            self._cancelled_from_outside()  # And the handler swallowed it.
                            return
                        pending = self._settled(entry, result)
                self.steps = None
                if self.is_alive():
                    pending = self.drain()
                    if pending is not None:
                        continue
                if not self.is_alive():
                    return
                if not self.server._otp_needs_task:  # type: ignore[union-attr]
                    self.task = None
                    self._rest()
                    return
                self.parked = self.runtime.loop.create_future()
                self._rest()
                await self.parked
        except asyncio.CancelledError:
            self._cancelled_from_outside()
            raise
        finally:
            self._unwound()

    def _cancelled_from_outside(self) -> None:
        # `asyncio.run` ends a program by cancelling all tasks there are. Then the whole world ends: no supervisor may
        # start anew what nobody would ever stop.
        loop = self.runtime.loop
        if self.exit_reason is None and all(task.cancelling() for task in tasks_of(loop)):
            for process in reversed(list(self.runtime.processes)):
                process.die(KILLED)
        self.die(KILLED)

    def unpark(self) -> None:
        """Let the task go on with the mailbox."""
        if self.parked is not None and not self.parked.done():
            self.parked.set_result(None)

    def _task_done(self, first: Coroutine[Any, Any, Any] | None, task: asyncio.Task[None]) -> None:
        self.runtime.tasks.discard(task)
        if first is not None and not self.begun:
            bury(self, first)  # Cancelled before its first step.
        if self.exit_reason is None and self.task is task:
            self._cancelled_from_outside()
            self._unwound()
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.runtime.loop.call_exception_handler(
                {"message": f"the task of {self!r} failed", "exception": error, "task": task}
            )

    def _unwound(self) -> None:
        """The last code of the process has returned."""
        self.steps = None
        if self.exit_reason is not None:
            self.runtime.doomed.discard(self)
            self.current = None


async def entered(server: GenServer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``init``, plain or async, and return what it says."""
    result = server.init(*args, **kwargs)
    return await result if result.__class__ is CoroutineType else result
