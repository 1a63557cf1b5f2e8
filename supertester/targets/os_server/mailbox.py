"""The mailbox of a server in a process of its own, as others see it: they put messages in and wait for replies."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from pickle import loads
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit
from supertester.otp.life import INIT, refuse
from supertester.otp.messages import Call, Failure, System
from supertester.otp.process import Process
from supertester.otp.reasons import Crash
from supertester.otp.runtime import Runtime, current
from supertester.targets.os_server.counters import HANDLED, OWN, RESTED, SUSPENDED, TRAPS_EXITS, Counters
from supertester.targets.os_server.encoding import encoded, encoded_call, encoded_request, translated
from supertester.targets.os_server.frames import CALL, HEADER, REPLY, TELL_REST, Frame, FrameReader, framed
from supertester.targets.os_server.launch import Launched

__all__ = ["OsMailbox"]

_BATCH: Final = 1 << 16
"""Bytes that are not kept back until the loop goes round."""
_LOOKED_AFTER: Final = 64
"""Messages that are kept before it is looked which of them have been handled."""
_BRIEF: Final = 1
"""Milliseconds that the loop waits for an answer when it has nothing else to do."""
_AT_ONCE: Final = 64
"""Calls that may be answered so, one after the other."""
_SLOW: Final = 16
"""Calls for which the loop goes on as ever after one that was not answered so soon."""
_pack: Final = HEADER.pack
_BUSY: Final = object()
"""In place of the message that the server handles."""


def _counted(index: int) -> Any:
    """Return a property that is counted by the other process."""

    def look(self: Any) -> int:
        count: int = self.counters.values[index]
        return count

    return property(look, _ignore)


def _noted(index: int) -> Any:
    """Return a property that is noted by the other process."""
    return property(lambda self: bool(self.counters.values[index]), _ignore)


def _ignore(self: Any, value: Any) -> None:
    """Change nothing: the other process does."""


class OsMailbox(Process):
    """A process whose messages are handed over as they are sent.

    So what is seen of its mailbox here is what the server has not begun to handle.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def take(self, frames: list[Frame]) -> None: ...

    def __init__(self, runtime: Runtime, spawner: Process | None) -> None:
        self.counters = Counters()
        self.launched: Launched | None = None
        self.awaiting: dict[int, Call] = {}
        self.then: dict[int, Callable[[], Any]] = {}
        """What is to be done here when a call is answered."""
        self._is_ready = False
        self._frames = 0
        self._messages = 0
        self._unhandled: deque[Any] = deque()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._backlog = bytearray()
        self._is_to_flush = False
        self._at_once = 0
        self._others_turn = 0
        super().__init__(runtime, None, spawner)
        self.put = self._own_put = self._post

    def connect(self, launched: Launched) -> None:
        """Hand over from now on to the process that was *launched*."""
        self.launched = launched
        self.reader = FrameReader(launched.answers)
        self._read = self.reader.read
        # What the loop has to do next; other loops than asyncio's tell nobody.
        self._next_steps: Any = getattr(self.runtime.loop, "_ready", True)
        polled = select.poll()
        polled.register(launched.answers, select.POLLIN)
        self._poll = polled.poll

    def disconnect(self) -> None:
        """Hand nothing over any more."""
        if self.launched is not None and self._backlog and not self.runtime.loop.is_closed():
            self.runtime.loop.remove_writer(self.launched.requests)
        self._backlog.clear()
        self.counters.close()

    # What others see -----------------------------------------------------------------------------------------------

    handled = _counted(HANDLED)
    trap_exit = _noted(TRAPS_EXITS)
    suspended = _noted(SUSPENDED)

    @property
    def scheduled(self) -> bool:
        """Whether it has something to do."""
        return self.exit_reason is not None or not self._is_ready or self.counters.values[RESTED] != self._frames

    @scheduled.setter
    def scheduled(self, value: bool) -> None: ...

    @property
    def current(self) -> Any:
        """Something, while the server handles a message."""
        if not self._is_ready:
            return INIT
        return _BUSY if self.scheduled and self._waiting() <= 0 and not self.suspended else None

    @current.setter
    def current(self, value: Any) -> None:
        self._is_ready = value is None

    @property
    def queue(self) -> deque[Any]:
        """The messages that the server has not begun to handle."""
        self.forget_handled()
        return self._unhandled

    @queue.setter
    def queue(self, value: deque[Any]) -> None: ...

    def open_mailbox(self) -> deque[Any]:
        return self.queue

    def is_at_rest(self, frames: int) -> bool:
        """Say whether nothing was sent since it had been sent so many *frames*."""
        return frames == self._frames

    def forget_handled(self) -> None:
        """Forget the messages that the server has begun to handle."""
        for _ in range(len(self._unhandled) - max(self._waiting(), 0)):
            self._unhandled.popleft()

    def _waiting(self) -> int:
        values = self.counters.values
        return self._messages + values[OWN] - values[HANDLED]

    def forget_all(self) -> None:
        """Forget what was sent, and who waits for it."""
        self.awaiting.clear()
        self.then.clear()
        self._unhandled.clear()

    def is_watched(self) -> None:
        self._transmit(framed(TELL_REST), at_once=True)

    # Calls -----------------------------------------------------------------------------------------------------------

    async def call(self, request: Any, timeout: float = 5.0) -> Any:
        runtime = self.runtime
        caller: Any = current.get()
        if caller.__class__ is Runtime:
            caller = None
        if timeout != 5.0:
            checked_timeout(timeout)
        if self.exit_reason is not None or runtime.doomed:
            self._check_call(caller, request, timeout)
        began = runtime.clock.time() if runtime.injected_clock else None
        slot: Any = None
        if self._others_turn:
            self._others_turn -= 1
        elif timeout * 1000 >= _BRIEF:
            slot = self._ask_at_once(request, caller)
            if slot.__class__ is bytes:
                try:
                    return loads(slot)
                except Exception as error:
                    raise self.not_unpickled(error, ("call", self, request, timeout)) from error
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
        if self.launched is None or self._next_steps or self.awaiting or self._buffer or self._backlog:
            return None
        runtime = self.runtime
        if (
            self.put is not self._own_put
            or not runtime.ordinary
            or get_ident() != runtime.thread
            or self.record is not None
        ):
            return None
        kind, body = (CALL, encoded_request(self, request)) if caller is None else encoded_call(self, request, caller)
        number = self._frames = self._frames + 1
        self._messages += 1
        data = _pack(len(body), kind, number) + body
        written = self._write(data)
        frames: list[Frame] = []
        if written == len(data) and self._poll(_BRIEF):
            self._at_once += 1
            if self._at_once == _AT_ONCE:
                self._at_once = 0
                self._others_turn = 1
            frames = self._read()
            if len(frames) == 1:
                kind, answered, body = frames[0]
                if answered == number and kind == REPLY:
                    return body
        else:
            self._others_turn = _SLOW
        slot = self.awaiting[number] = self._new_call(request, caller)
        self._unhandled.append(slot)
        self._keep(data, written)
        self.take(frames)
        return slot

    def not_unpickled(self, error: Exception, call: tuple[Any, ...] = ()) -> CallExit:
        """Return what is raised for the *call* whose reply cannot be made here, because of an *error*."""
        error.add_note(f"while a reply of {self!r} was unpickled")
        return CallExit(Crash(error), call)

    # All that is sent ------------------------------------------------------------------------------------------------

    def _post(self, entry: Any) -> None:
        """Be the mailbox: hand *entry* over."""
        kind, body = encoded(self, entry)
        if get_ident() == self.runtime.thread:
            self._hand_over(entry, kind, body)
        elif not self.runtime.loop.is_closed():
            self.runtime.loop.call_soon_threadsafe(self._hand_over, entry, kind, body)

    def _hand_over(self, entry: Any, kind: int, body: bytes) -> None:
        if self.exit_reason is not None:
            refuse(entry)
            return
        is_alone = False
        number = 0
        if isinstance(entry, Call):
            is_alone = not self.awaiting
            number = self._frames + 1  # That of the frame which brings it.
            self.awaiting[number] = entry
        if isinstance(entry, System):
            if (then := translated(self, entry.request)[1]) is not None:
                self.then[number] = then
        else:
            self._note(entry)
        self._transmit(framed(kind, number, body), at_once=is_alone)
        if self.runtime.idle_watches:
            self.is_watched()
            self.runtime.now_busy(self)

    def _note(self, entry: Any) -> None:
        """Count a message, and keep it as long as it may be asked for."""
        self._messages += 1
        self._unhandled.append(entry)
        if len(self._unhandled) > _LOOKED_AFTER:
            self.forget_handled()
        if self.record is not None:
            self.record.append(entry)

    def _transmit(self, frame: bytes, *, at_once: bool) -> None:
        """Write *frame*: at once if somebody waits for it alone, else with what else is sent in this turn."""
        self._frames += 1
        self._buffer.append(frame)
        self._buffered += len(frame)
        if at_once or self._buffered > _BATCH:
            self.flush()
        elif not self._is_to_flush:
            self._is_to_flush = True
            self.runtime.loop.call_soon(self._flush_in_turn)

    def _flush_in_turn(self) -> None:
        self._is_to_flush = False
        self.flush()

    def flush(self) -> None:
        """Write what was kept back."""
        if self.launched is None or self.exit_reason is not None or not self._buffer:
            return
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        if self._backlog:
            self._backlog += data
        else:
            self._keep(data, self._write(data))

    def _keep(self, data: bytes, written: int) -> None:
        """Keep the rest of *data* until it can be written."""
        if written < len(data):
            assert self.launched is not None
            self._backlog += memoryview(data)[written:]
            self.runtime.loop.add_writer(self.launched.requests, self._write_backlog)

    def _write_backlog(self) -> None:
        assert self.launched is not None
        del self._backlog[: self._write(self._backlog)]
        if not self._backlog:
            self.runtime.loop.remove_writer(self.launched.requests)

    def _write(self, data: bytes | bytearray) -> int:
        assert self.launched is not None
        try:
            return os.write(self.launched.requests, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # It has ended, of which we shall hear.
            return len(data)
