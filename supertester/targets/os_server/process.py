"""A process of the embedded runtime whose server runs in a process of the operating system."""

from __future__ import annotations

import asyncio
import os
import pickle
import select
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit, Unsupported, UsageError
from supertester.otp import sys
from supertester.otp.drive import wake
from supertester.otp.life import INIT, refuse
from supertester.otp.messages import (
    ENVELOPES,
    PENDING,
    Barrier,
    Call,
    CastBox,
    Exit,
    Failure,
    Info,
    System,
    SystemEvent,
    Terminate,
)
from supertester.otp.process import Process
from supertester.otp.reasons import NORMAL, Crash
from supertester.otp.runtime import Runtime, current
from supertester.targets.os_server.counters import HANDLED, OWN, RESTED, SUSPENDED, TRAPS_EXITS, Counters
from supertester.targets.os_server.frames import (
    AT_REST,
    BARRIER,
    CALL,
    CALL_FROM,
    CAST,
    EVENT,
    EXIT,
    FAILURE,
    HEADER,
    IGNORED,
    INFO,
    READY,
    REPLY,
    ROUTED,
    SYSTEM,
    TELL_REST,
    TERMINATE,
    Frame,
    FrameReader,
    framed,
)
from supertester.targets.os_server.launch import Launched
from supertester.targets.os_server.reasons import of_exit_code, packed, unpacked
from supertester.targets.os_server.served import forward_events

if TYPE_CHECKING:
    from supertester.otp.genserver import GenServer

__all__ = ["OsProcess"]

_BATCH: Final = 1 << 16
"""Bytes that are not kept back until the loop goes round."""
_LOOKED_AFTER: Final = 64
"""Messages that are kept before it is looked which of them have been handled."""
_BRIEF: Final = 1
"""Milliseconds that the loop waits for an answer when it has nothing else to do."""
_AT_ONCE: Final = 64
"""Calls that may be answered so, one after the other."""
_SLOW: Final = 64
"""Calls for which the loop goes on as ever after one that was not answered so soon."""
_BUSY: Final = object()
"""In place of the message that the server handles."""
_LINGER: Final = 5.0
"""Seconds that the process of a server that has ended may take to end itself."""
_SAID_NOTHING: Final = object()


class _StateElsewhere:
    """In place of the state of a server that is in another process."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(
            f"state.{name}: the server's state is in another process of the operating system; get a copy by "
            "sys.get_state(), and change it by sys.replace_state()"
        )

    def __repr__(self) -> str:
        return "<state in another process>"


class OsProcess(Process):
    """A process whose server runs elsewhere. Users know it as a `Pid`.

    Messages are handed over as they are sent, so the mailbox here has what the server has not begun to handle.
    """

    __slots__ = ()

    def __init__(self, runtime: Runtime, cls: type[GenServer], spawner: Process | None) -> None:
        self.counters = Counters()
        self._state = INIT
        self._frames = 0
        self._messages = 0
        self._unhandled: deque[Any] = deque()
        self._awaiting: dict[int, Call] = {}
        self._calls = 0
        self._local: dict[int, Callable[[], Any]] = {}
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._backlog = bytearray()
        self._is_to_flush = False
        self._ready: Any = True
        self._at_once = 0
        self._others_turn = 0
        self._said: Any = _SAID_NOTHING
        self._launched: Launched | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = runtime.loop.create_future()
        super().__init__(runtime, None, spawner)
        self.initial_call = cls
        # What others ask of its class. It has not been initialised, and it does nothing.
        self.server = object.__new__(cls)
        self.server.state = _StateElsewhere()
        self.put = self._own_put = self._post
        self.started = runtime.loop.create_future()

    # What others see -----------------------------------------------------------------------------------------------

    @property
    def os_pid(self) -> int:
        """The operating system's number of the process that the server has for itself."""
        assert self._launched is not None
        return self._launched.pid

    def _counted(index: int, convert: Callable[[int], Any] = int) -> Any:  # type: ignore[misc]  # noqa: N805
        def look(self: Any) -> Any:
            return convert(self.counters.values[index])

        return property(look, lambda self, value: None)  # It is counted elsewhere.

    handled = _counted(HANDLED)
    trap_exit = _counted(TRAPS_EXITS, bool)
    suspended = _counted(SUSPENDED, bool)

    @property
    def scheduled(self) -> bool:
        """Whether it has something to do."""
        return self.exit_reason is not None or self._state is INIT or self.counters.values[RESTED] != self._frames

    @scheduled.setter
    def scheduled(self, value: bool) -> None: ...

    @property
    def current(self) -> Any:
        """Something, while the server handles a message."""
        if self._state is INIT:
            return INIT
        return _BUSY if self.scheduled and self._waiting() <= 0 and not self.suspended else None

    @current.setter
    def current(self, value: Any) -> None:
        self._state = value

    @property
    def queue(self) -> deque[Any]:
        """The messages that the server has not begun to handle."""
        self._look()
        return self._unhandled

    @queue.setter
    def queue(self, value: deque[Any]) -> None: ...

    def open_mailbox(self) -> deque[Any]:
        return self.queue

    def _waiting(self) -> int:
        values = self.counters.values
        return self._messages + values[OWN] - values[HANDLED]

    def _look(self) -> None:
        """Forget the messages that the server has begun to handle."""
        excess = len(self._unhandled) - max(self._waiting(), 0)
        for _ in range(excess):
            self._unhandled.popleft()

    # Its life ------------------------------------------------------------------------------------------------------

    def begin(self, launched: Launched) -> None:
        """Take note of the process, and listen to it."""
        self._launched = launched
        self._reader = FrameReader(launched.answers)
        loop = self.runtime.loop
        loop.add_reader(launched.answers, self._hear)
        loop.add_reader(launched.death, self._has_ended)
        self._ready = getattr(loop, "_ready", True)  # What it has to do next; other loops than asyncio's tell nobody.
        self._polled = select.poll()
        self._polled.register(launched.answers, select.POLLIN)
        self.task = task = self.new_task(self._live(), loop=loop, context=self.context)
        task.supertester_pid = self  # type: ignore[attr-defined]
        self.runtime.tasks.add(task)
        task.add_done_callback(self.runtime.tasks.discard)

    async def _live(self) -> None:
        # As other processes do, it ends with the loop that cancels all tasks.
        try:
            await self._gone
        except asyncio.CancelledError:
            self._cancelled_from_outside()
            raise

    def run(self) -> None:
        """Do nothing: nobody has to handle messages here."""

    def is_watched(self) -> None:
        self._transmit(framed(TELL_REST), at_once=True)

    def _has_ended(self) -> None:
        self.die(NORMAL)

    def die(self, reason: Any) -> None:
        if self.exit_reason is not None:
            return
        if self._launched is not None:
            reason = self._leave(self._launched, reason)
        super().die(reason)
        self._state = None
        self.runtime.doomed.discard(self)
        wake(self._gone)

    def _leave(self, launched: Launched, reason: Any) -> Any:
        """See to it that the process is gone; return why it has ended: for *reason* only if that did it."""
        ended_itself = launched.has_ended()
        if ended_itself:
            self._hear_last_words()
        else:
            launched.kill()
        loop = self.runtime.loop
        if not loop.is_closed():
            for descriptor in (launched.answers, launched.death):
                loop.remove_reader(descriptor)
            if self._backlog:
                loop.remove_writer(launched.requests)
        if self._lingering is not None:
            self._lingering.cancel()
        code = launched.close()
        self.counters.close()
        if self._said is not _SAID_NOTHING:
            return self._said
        return of_exit_code(code) if ended_itself else reason

    def _hear_last_words(self) -> None:
        try:
            while not self._reader.has_ended:
                self._hear()
        except BlockingIOError:  # Somebody that it has started holds the pipe.
            pass

    def _tell(self, reason: Any) -> None:
        for slot in list(self._awaiting.values()):
            if slot.value is PENDING:
                slot.settle(Failure(reason))
        self._awaiting.clear()
        self._local.clear()
        self._unhandled.clear()
        super()._tell(reason)

    # To the server -------------------------------------------------------------------------------------------------

    async def call(self, request: Any, timeout: float = 5.0) -> Any:
        runtime = self.runtime
        caller = current.get()
        if caller.__class__ is Runtime:
            caller = None
        if timeout != 5.0:
            checked_timeout(timeout)
        if self.exit_reason is not None or runtime.doomed:
            self._check_call(caller, request, timeout)
        began = runtime.clock.time() if runtime.injected_clock else None
        if self._others_turn:
            self._others_turn -= 1
            slot = None
        else:
            slot = self._ask_at_once(request, caller)
            if slot.__class__ is bytes:
                try:
                    return pickle.loads(slot)
                except Exception:  # noqa: BLE001  # Whatever unpickling does.
                    return self._unpickled(slot)
        if slot is None:
            slot = self._new_call(request, caller)
            (self.put or refuse)(slot)
        value = await self.answer(slot, timeout, began)
        if value.__class__ is Failure:
            raise CallExit(value.reason, ("call", self, request, timeout))
        return value

    def _new_call(self, request: Any, caller: Any) -> Call:
        slot = Call.to(self, request)
        slot.caller = caller
        return slot

    def _ask_at_once(self, request: Any, caller: Any) -> Any:
        """Ask, and wait for the answer here if nothing else is to be done in the loop; return it as it came.

        A turn of the loop costs as much as all the rest of a round trip. It is taken all the same every now and then,
        for timers and other descriptors; and if the answer is not there soon, the call that waits for it is returned.
        If the loop has something to do, nothing is done, and ``None`` returned.
        """
        if self._ready or self._awaiting or self._buffer or self._backlog or self.put is not self._own_put:
            return None
        runtime = self.runtime
        if get_ident() != runtime.thread or not runtime.ordinary or self.record is not None or self._launched is None:
            return None
        kind, body = (CALL, pickle.dumps(request, 5)) if caller is None else self._encoded_call(request, caller)
        number = self._calls = self._calls + 1
        self._frames += 1
        self._messages += 1
        data = HEADER.pack(len(body), kind, number) + body
        written = self._write(data)
        frames: list[Frame] = []
        if written == len(data) and self._polled.poll(_BRIEF):
            self._at_once += 1
            if self._at_once == _AT_ONCE:
                self._at_once = 0
                self._others_turn = 1
            frames = self._reader.read()
            if len(frames) == 1 and frames[0][1] == number and frames[0][0] == REPLY:
                return frames[0][2]
        else:
            self._others_turn = _SLOW
        slot = self._awaiting[number] = self._new_call(request, caller)
        self._unhandled.append(slot)
        self._keep(data, written)
        self._take(frames)
        return slot

    def _post(self, entry: Any) -> None:
        """Be the mailbox: hand *entry* over."""
        kind, body = self._encoded(entry)
        if get_ident() == self.runtime.thread:
            self._hand_over(entry, kind, body)
        elif not self.runtime.loop.is_closed():
            self.runtime.loop.call_soon_threadsafe(self._hand_over, entry, kind, body)

    def _encoded(self, entry: Any) -> tuple[int, bytes]:
        cls = entry.__class__
        try:
            if cls is Call:
                return self._encoded_call(entry.request, entry.caller)
            if cls not in ENVELOPES:
                return CAST, pickle.dumps(entry, 5)
            if cls is Info or cls is CastBox:
                return (INFO if cls is Info else CAST), pickle.dumps(entry.message, 5)
            if cls is System or cls is Barrier:
                operation, _ = self._translated(entry.request)
                return (SYSTEM if cls is System else BARRIER), pickle.dumps(operation, 5)
        except Exception as error:
            raise self._unpicklable(getattr(entry, "request", getattr(entry, "message", entry)), error) from error
        if cls is Exit:
            return EXIT, pickle.dumps((entry.pid, packed(entry.reason)), 5)
        if cls is Terminate:
            return TERMINATE, packed(entry.reason)
        raise Unsupported(f"{entry!r} cannot be sent to {self!r}, which is in another process")

    def _encoded_call(self, request: Any, caller: Any) -> tuple[int, bytes]:
        try:
            if caller is None:
                return CALL, pickle.dumps(request, 5)
            return CALL_FROM, pickle.dumps((request, caller), 5)
        except Exception as error:
            raise self._unpicklable(request, error) from error

    def _unpicklable(self, what: Any, error: Exception) -> UsageError:
        return UsageError(f"{what!r} goes to {self!r}, which is in another process, and cannot be pickled: {error}")

    def _translated(self, operation: Any) -> tuple[Any, Callable[[], Any] | None]:
        """Return what to do there for a request of `sys`, and what here, after it."""
        if operation is sys.count:  # Where both sides are known.
            return sys.nothing, partial(sys.count, self)
        if isinstance(operation, partial) and operation.func is sys.set_tracer:
            (fn,) = operation.args
            return partial(forward_events, on=fn is not None), partial(setattr, self, "tracer", fn)
        return operation, None

    def _hand_over(self, entry: Any, kind: int, body: bytes) -> None:
        if self.exit_reason is not None:
            refuse(entry)
            return
        number = 0
        is_alone = False
        if isinstance(entry, Call):
            number = self._calls = self._calls + 1
            is_alone = not self._awaiting
            self._awaiting[number] = entry
            if entry.__class__ is not Call and (then := self._translated(entry.request)[1]) is not None:
                self._local[number] = then
        if not isinstance(entry, System):
            self._messages += 1
            self._unhandled.append(entry)
            if len(self._unhandled) > _LOOKED_AFTER:
                self._look()
            if self.record is not None:
                self.record.append(entry)
        self._transmit(framed(kind, number, body), at_once=is_alone)
        if self.runtime.idle_watches:
            self.is_watched()
            self.runtime.now_busy(self)

    def _transmit(self, frame: bytes, *, at_once: bool) -> None:
        """Write *frame*: at once if somebody waits for it alone, else with what else is sent in this turn."""
        self._frames += 1
        self._buffer.append(frame)
        self._buffered += len(frame)
        if at_once or self._buffered > _BATCH:
            self._flush()
        elif not self._is_to_flush:
            self._is_to_flush = True
            self.runtime.loop.call_soon(self._flush_in_turn)

    def _flush_in_turn(self) -> None:
        self._is_to_flush = False
        if self._buffer:
            self._flush()

    def _flush(self) -> None:
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        if self._launched is None or self.exit_reason is not None:
            self._backlog += data
            return
        if self._backlog:
            self._backlog += data
            return
        self._keep(data, self._write(data))

    def _keep(self, data: bytes, written: int) -> None:
        """Keep the rest of *data* until it can be written."""
        if written < len(data):
            assert self._launched is not None
            self._backlog += memoryview(data)[written:]
            self.runtime.loop.add_writer(self._launched.requests, self._write_backlog)

    def _write_backlog(self) -> None:
        assert self._launched is not None
        del self._backlog[: self._write(self._backlog)]
        if not self._backlog:
            self.runtime.loop.remove_writer(self._launched.requests)

    def _write(self, data: bytes | bytearray) -> int:
        assert self._launched is not None
        try:
            return os.write(self._launched.requests, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # It has ended, of which we shall hear.
            return len(data)

    # From the server -----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        frames = self._reader.read()
        if self._reader.has_ended:
            assert self._launched is not None
            self.runtime.loop.remove_reader(self._launched.answers)
        self._take(frames)

    def _take(self, frames: list[Frame]) -> None:
        for kind, number, body in frames:
            if kind == REPLY or kind == FAILURE:
                slot = self._awaiting.pop(number, None)
                if slot is not None:
                    self._take_answer(slot, number, Failure(unpacked(body)) if kind == FAILURE else body)
            else:
                self._take_note(kind, number, body)
        if self._unhandled:
            self._look()

    def _take_answer(self, slot: Call, number: int, value: Any) -> None:
        if value.__class__ is bytes:
            try:
                value = self._unpickled(value)
            except CallExit as error:
                value = Failure(error.reason)
        if self._local and (then := self._local.pop(number, None)) is not None and value.__class__ is not Failure:
            value = then()
        if slot.value is PENDING:
            slot.settle(value)
        elif value.__class__ is not Failure:
            slot.reply(value)  # Too late, which is counted.

    def _unpickled(self, body: bytes) -> Any:
        try:
            return pickle.loads(body)
        except Exception as error:
            error.add_note(f"while a reply of {self!r} was unpickled")
            raise CallExit(Crash(error), ("unpickle", self)) from error

    def _take_note(self, kind: int, number: int, body: bytes) -> None:
        if kind == READY:
            self._state = None
            if self.started is not None and not self.started.done():
                self.started.set_result(None)
        elif kind == AT_REST:
            if number == self._frames:
                self.runtime.now_resting(self)
        elif kind == EVENT:
            self._trace(*pickle.loads(body))
        elif kind == ROUTED:
            pid, how, message = pickle.loads(body)
            getattr(pid, how)(message)
        else:
            self.ignored = kind == IGNORED
            self._said = NORMAL if self.ignored else unpacked(body)
            self._lingering = self.runtime.loop.call_later(_LINGER, self._lingers_no_longer)

    def _lingers_no_longer(self) -> None:
        self._lingering = None
        if self._launched is not None:
            self._launched.kill()  # Of whose end we shall hear.

    def _trace(self, kind: str, message: Any, at: float, to: Any) -> None:
        if self.tracer is not None:
            try:
                self.tracer(SystemEvent(self, kind, message, at, to))
            except Exception as error:  # noqa: BLE001  # The tracer's fault is not the server's.
                self.tracer = None
                self.runtime.loop.call_exception_handler({"message": f"tracer of {self!r} failed", "exception": error})
