"""What lies in a mailbox.

A cast lies there as it is; everything else has an envelope of one of the classes below, told apart by class identity,
so the commonest message costs nothing (section 6 of the design: class-identity dispatch on the hot path).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, final

from supertester.otp.reasons import TIMEOUT

if TYPE_CHECKING:
    import asyncio

    from supertester.otp.pid import Pid
    from supertester.otp.process import Process

__all__ = [
    "ENVELOPES",
    "PENDING",
    "Barrier",
    "Call",
    "CastBox",
    "ContinueMark",
    "Down",
    "Exit",
    "Failure",
    "Info",
    "Ref",
    "System",
    "SystemEvent",
    "Terminate",
    "TimeoutMark",
    "payload_of",
]


class _Pending:
    __slots__ = ()

    def __repr__(self) -> str:
        return "PENDING"


PENDING: Final = _Pending()


class Failure:
    """In place of a reply: the call failed with *reason*."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


_EXPIRED: Final = Failure(TIMEOUT)
_ABANDONED: Final = Failure(TIMEOUT)


class Call:
    """A request in a mailbox and the place for its reply; ``handle_call`` gets it as *sender* (rule 15)."""

    __slots__ = ("caller", "future", "process", "request", "value")

    # Without an `__init__`, which would double the time that a new one takes.
    request: Any
    caller: Process | None
    process: Process
    value: Any
    future: asyncio.Future[None] | None

    @classmethod
    def to(cls, process: Process, request: Any) -> Self:
        """Return a new one for *process*, from nobody."""
        call = cls()
        call.request = request
        call.caller = None
        call.process = process
        call.value = PENDING
        call.future = None
        return call

    @property
    def pid(self) -> Pid | None:
        """The calling process, or ``None`` for a caller that is no process."""
        return self.caller

    def reply(self, value: Any) -> None:
        """Answer the call, now or later, from any thread. A second answer is dropped; a late one too, and counted."""
        runtime = self.process.runtime
        if get_ident() != runtime.thread:
            if not runtime.loop.is_closed():
                runtime.loop.call_soon_threadsafe(self.reply, value)
        elif self.value is PENDING:
            if self.process.tracer is not None and self.__class__ is Call:
                self.process.report("reply", value, self.caller)
            self.settle(value)
        elif self.value is _EXPIRED:
            self.process.note_late_reply(self, value)

    def settle(self, value: Any) -> None:
        """Store the outcome and wake the caller."""
        self.value = value
        if (unanswered := self.process.unanswered) is not None:
            unanswered.pop(self, None)
        future = self.future
        if future is not None and not future.done():
            future.set_result(None)

    def expire(self) -> None:
        """The caller's patience ran out."""
        if self.value is PENDING:
            self.settle(_EXPIRED)

    def expire_unread(self) -> None:
        """The caller's patience ran out before it read the outcome: a reply that is on its way comes too late."""
        outcome = self.value
        self.value = PENDING
        self.expire()
        if outcome is not PENDING and outcome.__class__ is not Failure:
            self.process.note_late_reply(self, outcome)

    def abandon(self) -> None:
        """The caller went away; whatever the reply will be, nobody wants it."""
        if self.value is PENDING:
            self.settle(_ABANDONED)

    def __repr__(self) -> str:
        return f"<call {self.request!r} from {self.caller!r}>"


class System(Call):
    """A request to the runtime part of a process (`supertester.otp.sys`); served also while it is suspended."""

    __slots__ = ()

    # ``request`` is a function that gets the process and returns the reply.
    if TYPE_CHECKING:
        request: Callable[[Process], Any]


class Barrier(System):
    """A `System` request that keeps its place among the messages: a suspended process does not serve it."""

    __slots__ = ()


class Info:
    """A message sent by `send`."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


class CastBox:
    """A cast whose message is itself of an envelope's class, e.g. a *sender* handed on to another server."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


class Terminate:
    """A request to stop, with the reason."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class ContinueMark:
    """Stands first in the mailbox of a server that asked to continue."""

    __slots__ = ("arg",)

    def __init__(self, arg: Any) -> None:
        self.arg = arg


@final
class TimeoutMark:
    """The ``timeout=`` of a result ran out."""

    __slots__ = ()


@final
class Ref:
    """A monitor; unique for ever."""

    __slots__ = ("target", "watcher")

    def __init__(self, watcher: Process, target: Process | None) -> None:
        self.watcher = watcher
        self.target = target

    def __repr__(self) -> str:
        return f"<Ref {id(self):#x}>"


@final
class Exit(NamedTuple):
    """A link broke, or somebody sent an exit signal: what a process that traps exits receives."""

    pid: Pid | None
    reason: Any


@final
class Down(NamedTuple):
    """What a monitor reports, once: *pid* is what was monitored, a pid or a name."""

    ref: Ref
    pid: Any
    reason: Any


class SystemEvent(NamedTuple):
    """What `supertester.otp.sys.trace` reports.

    ``kind`` is ``"call"``, ``"cast"``, ``"info"``, ``"continue"``, ``"timeout"`` or ``"reply"``; ``at`` is the
    runtime's time in seconds; ``to`` is who is replied to, if that is a process.
    """

    pid: Pid
    kind: str
    message: Any
    at: float
    to: Pid | None = None


ENVELOPES: Final = frozenset({Call, System, Barrier, Info, CastBox, Terminate, ContinueMark, TimeoutMark, Exit, Down})

_KINDS: Final = {
    Call: "call",
    System: "system",
    Barrier: "system",
    Info: "info",
    Exit: "info",
    Down: "info",
    CastBox: "cast",
    Terminate: "stop",
    ContinueMark: "continue",
    TimeoutMark: "timeout",
}


def payload_of(entry: Any) -> tuple[str, Any]:
    """Return the kind of a mailbox entry and what the user sent."""
    cls = entry.__class__
    kind = _KINDS.get(cls, "cast")
    if cls is Call:
        return kind, entry.request
    if cls is Info or cls is CastBox:
        return kind, entry.message
    if cls is ContinueMark:
        return kind, entry.arg
    if cls is TimeoutMark:
        return kind, TIMEOUT
    if cls is Terminate:
        return kind, entry.reason
    return kind, entry
