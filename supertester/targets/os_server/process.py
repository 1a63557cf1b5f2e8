"""A process of the embedded runtime whose server runs in a process of the operating system: its life."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from supertester.errors import Unsupported
from supertester.otp.drive import wake
from supertester.otp.messages import PENDING, Call, Failure, SystemEvent
from supertester.otp.reasons import NORMAL
from supertester.targets.os_server.counters import FAMILY
from supertester.targets.os_server.frames import AT_REST, EVENT, FAILURE, IGNORED, READY, REPLY, ROUTED, Frame
from supertester.targets.os_server.mailbox import OsMailbox
from supertester.targets.os_server.reasons import of_exit_code, unpacked

if TYPE_CHECKING:
    from supertester.otp.genserver import GenServer
    from supertester.otp.process import Process
    from supertester.otp.runtime import Runtime
    from supertester.targets.os_server.launch import Launched

__all__ = ["OsProcess"]

_LINGER: Final = 5.0
"""Seconds that the process of a server that has ended may take to end itself."""
_NOTHING: Final = object()


class _StateElsewhere:
    """In place of the state of a server that is in another process."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(
            f"state.{name}: the server's state is in another process of the operating system; get a copy by "
            "sys.get_state(), and change it by sys.replace_state()"
        )

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, f"[{key!r}]")

    def __repr__(self) -> str:
        return "<state in another process>"


class OsProcess(OsMailbox):
    """A process whose server runs elsewhere. Users know it as a `Pid`."""

    __slots__ = ()

    def __init__(self, runtime: Runtime, cls: type[GenServer], spawner: Process | None) -> None:
        self._last_word: Any = _NOTHING
        self._lingering: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = runtime.loop.create_future()
        super().__init__(runtime, spawner)
        self.initial_call = cls
        # For who asks for its class. It has not been initialised, and does nothing.
        self.server = object.__new__(cls)
        self.server.state = _StateElsewhere()
        self.started = runtime.loop.create_future()

    @property
    def os_pid(self) -> int:
        """The operating system's number of the process that the server has for itself; 0 before it is there."""
        return 0 if self.launched is None else self.launched.pid

    @property
    def ended_without_a_word(self) -> bool:
        """Whether its process has ended by itself, and the server did not say why."""
        return self.exit_reason is not None and self._last_word is _NOTHING

    def begin(self, launched: Launched) -> None:
        """Take note of the process, and listen to it."""
        self.connect(launched)
        loop = self.runtime.loop
        loop.add_reader(launched.answers, self._hear)
        loop.add_reader(launched.death, self._has_ended)
        self._quiet: dict[int, Any] = getattr(getattr(loop, "outside", None), "quiet", {})  # Of a loop in virtual time.
        for descriptor in (launched.answers, launched.death):
            self._quiet[descriptor] = self._is_quiet
        launched.says_when_quiet(self._is_quiet)
        self.task = task = self.new_task(self._live(), loop=loop, context=self.context)
        task.supertester_pid = self  # type: ignore[attr-defined]
        self.runtime.tasks.add(task)
        task.add_done_callback(self.runtime.tasks.discard)

    def _is_quiet(self) -> bool:
        """Say whether nothing is to come from it, unless somebody else ends it."""
        return not self.scheduled and self._last_word is _NOTHING

    async def _live(self) -> None:
        # As other processes do, it ends with the loop that cancels all tasks.
        try:
            await self._gone
        except asyncio.CancelledError:
            self._cancelled_from_outside()
            raise

    def run(self) -> None:
        """Do nothing: nobody has to handle messages here."""

    # Its end ---------------------------------------------------------------------------------------------------------

    def _has_ended(self) -> None:
        self.die(NORMAL)

    def die(self, reason: Any) -> None:
        if self.exit_reason is not None:
            return
        if self.launched is not None:
            reason = self._leave(self.launched, reason)
        try:
            super().die(reason)
        finally:  # Not before: somebody waits to hear of it.
            if self.launched is not None:
                self.launched.close()
            self.current = None
            self.runtime.doomed.discard(self)
            self.disconnect()
            wake(self._gone)

    def _leave(self, launched: Launched, reason: Any) -> Any:
        """See to it that the process is gone; return why it has ended: for *reason* only if that did it."""
        ended_itself = launched.has_ended()
        has_family = bool(self.counters.values[FAMILY])
        if ended_itself:
            with suppress(BlockingIOError):  # That somebody may come to write who was started by it.
                while not self.reader.has_ended:
                    self._hear()
        else:
            launched.kill(family=has_family)
        if not self.runtime.loop.is_closed():
            self.runtime.loop.remove_reader(launched.answers)
            self.runtime.loop.remove_reader(launched.death)
        self._quiet.pop(launched.answers, None)
        self._quiet.pop(launched.death, None)
        if self._lingering is not None:
            self._lingering.cancel()
        code = launched.outcome(family=has_family)
        if self._last_word is not _NOTHING:
            return self._last_word
        return of_exit_code(code) if ended_itself else reason

    def _tell(self, reason: Any) -> None:
        failure = Failure(reason)
        for slot in list(self.awaiting.values()):
            if slot.value is PENDING:
                slot.settle(failure)
        self.forget_all()
        super()._tell(reason)

    # From the server -------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        frames = self.reader.read()
        if self.reader.has_ended:
            assert self.launched is not None
            self.runtime.loop.remove_reader(self.launched.answers)
        self.take(frames)

    def take(self, frames: list[Frame]) -> None:
        for kind, number, body in frames:
            if kind == REPLY or kind == FAILURE:  # noqa: PLR1714, SIM109  # The hottest of comparisons.
                slot = self.awaiting.pop(number, None)
                if slot is not None:
                    self._take_answer(slot, number, Failure(unpacked(body)) if kind == FAILURE else body)
            else:
                self._take_note(kind, number, body)
        self.forget_handled()

    def _take_answer(self, slot: Call, number: int, value: Any) -> None:
        if value.__class__ is bytes:
            try:
                value = pickle.loads(value)
            except Exception as error:  # noqa: BLE001  # Whatever unpickling does.
                value = Failure(self.not_unpickled(error).reason)
        if self.then and (then := self.then.pop(number, None)) is not None and value.__class__ is not Failure:
            value = then()
        if slot.value is PENDING:
            slot.settle(value)
        elif value.__class__ is not Failure:
            slot.reply(value)  # Too late, which is counted.

    def _take_note(self, kind: int, number: int, body: bytes) -> None:
        if kind == READY:
            self.current = None
            if self.started is not None and not self.started.done():
                self.started.set_result(None)
        elif kind == AT_REST:
            if self.is_at_rest(number):
                self.runtime.now_resting(self)
        elif kind == EVENT:
            self._trace(*pickle.loads(body))
        elif kind == ROUTED:
            pid, how, message = pickle.loads(body)
            getattr(pid, how)(message)
        else:
            self.ignored = kind == IGNORED
            self._last_word = NORMAL if self.ignored else unpacked(body)
            self._lingering = self.runtime.loop.call_later(_LINGER, self._lingers_no_longer)

    def _lingers_no_longer(self) -> None:
        self._lingering = None
        if self.launched is not None:
            self.launched.kill(family=True)  # Of whose end we shall hear.

    def _trace(self, kind: str, message: Any, at: float, to: Any) -> None:
        if self.tracer is not None:
            try:
                self.tracer(SystemEvent(self, kind, message, at, to))
            except Exception as error:  # noqa: BLE001  # The tracer's fault is not the server's.
                self.tracer = None
                self.runtime.loop.call_exception_handler({"message": f"tracer of {self!r} failed", "exception": error})
