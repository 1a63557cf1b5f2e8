"""A server as its own process knows it: the line to whoever started it, and the process of the embedded runtime."""

from __future__ import annotations

import os
import pickle
import select
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from supertester.otp.elsewhere import routes
from supertester.otp.life import UNOPENED, refuse
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
from supertester.otp.reasons import Crash
from supertester.otp.results import SPECIAL
from supertester.otp.sys import set_tracer
from supertester.targets.os_server.counters import HANDLED, OWN, RESTED, SUSPENDED, TRAPS_EXITS
from supertester.targets.os_server.frames import (
    AT_REST,
    BARRIER,
    CALL,
    CALL_FROM,
    CAST,
    END,
    EVENT,
    EXIT,
    FAILURE,
    HEADER,
    INFO,
    REPLY,
    ROUTED,
    SYSTEM,
    TELL_REST,
    Frame,
    FrameReader,
    framed,
)
from supertester.targets.os_server.lifeline import end_at_once
from supertester.targets.os_server.reasons import packed, unpacked

if TYPE_CHECKING:
    from collections import deque

__all__ = ["Line", "Served", "forward_events"]

_ANSWERED: Final = {CALL: Call, CALL_FROM: Call, SYSTEM: System, BARRIER: Barrier}


class Served(Process):
    """The process of the one server that is served; what others have to know of it, it counts where they see it."""

    __slots__ = ()

    line: Line
    counters: memoryview

    def _counted(index: int, convert: Callable[[int], Any] = int) -> Any:  # type: ignore[misc]  # noqa: N805
        def look(self: Any) -> Any:
            return convert(self.counters[index])

        def change(self: Any, value: Any) -> None:
            self.counters[index] = value

        return property(look, change)

    handled = _counted(HANDLED)
    trap_exit = _counted(TRAPS_EXITS, bool)
    suspended = _counted(SUSPENDED, bool)

    def open_mailbox(self) -> deque[Any]:
        queue = super().open_mailbox()
        if self.put is not refuse:
            self.put = self._put_own
        return queue

    def serve(self, slot: Call) -> None:
        """Handle the one call to the idle server, as other processes do, where what it takes is nothing unusual."""
        if self.record is not None:
            super().serve(slot)
            return
        self.current = slot
        self.counters[HANDLED] += 1
        try:
            result = self.server.handle_call(slot.request, slot)  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001  # Which ends the server.
            self._after(self._failed_or_interrupted(slot, error))
            return
        if result.__class__ in SPECIAL or slot.value is not PENDING or self.unanswered is not None:
            self._after(self._special(slot, result))
            return
        slot.value = result
        future: Any = slot.future
        if future.__class__ is _ReplyTo:
            slot.future = None  # They hold each other.
            future.line.reply(future.number, result)
        elif future is not None and not future.done():
            future.set_result(None)  # Of a caller in this process.
        self.current = None
        self.scheduled = False
        if self.queue or self.runtime.idle_watches:
            self.scheduled = True
            self._rest()

    def _put_own(self, entry: Any) -> None:
        """Take a message from this process itself: what comes by the line is put into the mailbox as it is."""
        if not isinstance(entry, System):
            self.counters[OWN] += 1
        self.queue.append(entry)


class _ReplyTo:
    """In place of the future of a call: what it is done with goes to whoever has called."""

    __slots__ = ("line", "number", "slot")

    def __init__(self, line: Line, number: int, slot: Call) -> None:
        self.line = line
        self.number = number
        self.slot = slot

    def done(self) -> bool:
        return False

    def set_result(self, _: None) -> None:
        slot = self.slot
        slot.future = None  # They hold each other.
        self.line.reply(self.number, slot.value)


class Line:
    """The two pipes to whoever started this process.

    Args:
        requests: The descriptor to read from.
        answers: That to write to.
        counters: The numbers that both see.

    Attributes:
        reason: Why the server has ended, once it has.
    """

    process: Process

    def __init__(self, requests: int, answers: int, counters: memoryview) -> None:
        self.requests = requests
        self.counters = counters
        self.reason: Any = None
        self._answers = answers
        self._reader = FrameReader(requests)
        self.read = self._reader.read
        self._writing = Lock()
        self._seen = 0
        self._tell_rest = False

    def serves(self, process: Any) -> None:
        """Take note of whose line this is."""
        self.process = process
        process.line = self
        process.counters = self.counters
        routes[process.exported_as[0]] = self._route  # It is called by what it is at the other end.

    # To the server -----------------------------------------------------------------------------------------------

    def take(self, frames: list[Frame]) -> None:
        """Let the server handle what was read."""
        process = self.process
        if self._reader.has_ended:
            end_at_once()  # Nobody is there any more.
        queue = process.queue
        if queue is UNOPENED:
            queue = process.open_mailbox()
        if len(frames) == 1 and not process.scheduled:
            kind, number, body = frames[0]
            if kind <= CALL_FROM and self._serve(process, kind, number, body):
                self._seen += 1
                return
        for kind, number, body in frames:
            if (entry := self._entry(kind, number, body)) is not None:
                queue.append(entry)
        self._seen += len(frames)
        if queue and not process.scheduled:
            process.scheduled = True
            if process.task is None and not process.server._otp_needs_task:  # type: ignore[union-attr]
                process.context.run(process.run)
            else:
                process.runtime.schedule(process)

    def _serve(self, process: Process, kind: int, number: int, body: bytes) -> bool:
        """Let the idle server handle the one call there is, unless that takes more than its handler; say whether."""
        if process.attention or process.task is not None or process.server._otp_needs_task:  # type: ignore[union-attr]
            return False
        try:
            request = pickle.loads(body)
        except Exception:  # noqa: BLE001  # Whatever unpickling does.
            return False  # It will do that once more.
        slot = Call()
        slot.caller = None
        if kind == CALL_FROM:
            request, slot.caller = request
        slot.request = request
        slot.process = process
        slot.value = PENDING
        slot.future = _ReplyTo(self, number, slot)  # type: ignore[assignment]
        process.scheduled = True
        process.context.run(process.serve, slot)
        return True

    def _entry(self, kind: int, number: int, body: bytes) -> Any:
        try:
            if kind in _ANSWERED:
                return self._call(kind, number, pickle.loads(body))
            if kind == TELL_REST:
                self._tell_rest = True
                return None
            if kind == CAST:
                message = pickle.loads(body)
                return CastBox(message) if message.__class__ in ENVELOPES else message
            if kind == INFO:
                return Info(pickle.loads(body))
            if kind == EXIT:
                sender, reason = pickle.loads(body)
                return Exit(sender, unpacked(reason))
            return Terminate(unpacked(body))
        except Exception as error:  # noqa: BLE001  # Whatever unpickling does.
            error.add_note("while a message from another process was unpickled")
            if kind not in _ANSWERED:
                return Terminate(Crash(error))
            self.reply(number, Failure(Crash(error)))
            return None

    def _call(self, kind: int, number: int, request: Any) -> Call:
        slot = _ANSWERED[kind]()
        slot.caller = None
        if kind == CALL_FROM:
            request, slot.caller = request
        slot.request = request
        slot.process = self.process
        slot.value = PENDING
        slot.future = _ReplyTo(self, number, slot)  # type: ignore[assignment]
        return slot

    def rest(self) -> None:
        """Take note that there is nothing to do, unless the server only waits for something."""
        process = self.process
        if process.current is None and not process.queue:
            self.counters[RESTED] = self._seen
            if self._tell_rest:
                self._tell_rest = False
                self.write(framed(AT_REST, self._seen))

    # From the server ---------------------------------------------------------------------------------------------

    def reply(self, number: int, value: Any) -> None:
        """Answer a call."""
        if value.__class__ is Failure:
            if self.process.exit_reason is None:  # Else its callers hear of that.
                self.write(framed(FAILURE, number, packed(value.reason)))
            return
        try:
            body = pickle.dumps(value, 5)
        except Exception as error:  # noqa: BLE001  # Whatever pickling does.
            error.add_note(f"while the reply {type(value).__qualname__} was pickled for another process")
            self.write(framed(FAILURE, number, packed(Crash(error))))
            return
        data = HEADER.pack(len(body), REPLY, number) + body
        if len(data) > select.PIPE_BUF:
            self.write(data)
        else:  # Which is written as a whole, whoever writes beside.
            try:
                os.write(self._answers, data)
            except BrokenPipeError:
                end_at_once()  # Nobody is there any more.

    def end(self, reason: Any) -> None:
        """Tell why the server has ended, once."""
        if self.reason is None:
            self.reason = reason
            self.write(framed(END, 0, packed(reason)))

    def tell_of(self, event: SystemEvent) -> None:
        """Tell who traces the server of an *event*."""
        content = (event.kind, event.message, event.at, event.to)
        try:
            body = pickle.dumps(content, 5)
        except Exception:  # noqa: BLE001  # Whatever pickling does.
            body = pickle.dumps((event.kind, repr(event.message), event.at, None), 5)
        self.write(framed(EVENT, 0, body))

    def _route(self, pid: Any, kind: str, message: Any) -> None:
        self.write(framed(ROUTED, 0, pickle.dumps((pid, kind, message), 5)))

    def write(self, data: bytes) -> None:
        """Write *data*, however long it takes; from any thread."""
        with self._writing:
            try:
                while data:
                    data = data[os.write(self._answers, data) :]
            except BrokenPipeError:
                end_at_once()  # Nobody is there any more.


def forward_events(process: Any, *, on: bool) -> None:
    """Let whoever started the *process* hear of what it handles, or no more; sent there as a request of `sys`."""
    set_tracer(process.line.tell_of if on else None, process)
