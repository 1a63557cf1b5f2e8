"""Faults of processes and messages as choices of a schedule: what an explored runtime offers its loop.

A loop that lets things go wrong has the attribute ``faults``, whose fields say what; ``offer_fault`` and
``fault_left`` are its methods. Nothing here decides: the strategy of the loop does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from supertester._core.evidence import shown
from supertester.otp.explored import Channel, Explored, ExploredProcess
from supertester.otp.messages import ENVELOPES, PENDING, Call, CastBox, Info, Terminate, payload_of
from supertester.otp.pid import Pid
from supertester.otp.reasons import KILLED, Crash

if TYPE_CHECKING:
    from supertester.otp.runtime import Runtime

__all__ = ["FaultyChannel", "FaultyProcess", "InjectedCrash", "let_go_wrong"]

_OF_MESSAGES: Final = ("drop", "duplicate", "delay")
_LEFT_ALONE: Final = ENVELOPES - {Call, CastBox, Info}
"""What the runtime itself sends. Without it, nobody would know of the end of another."""
_SIGNAL: Final = object()
"""In place of what is under way: something of that kind."""


class InjectedCrash(Exception):
    """What a process crashes with that is chosen to crash."""


def let_go_wrong(runtime: Runtime) -> None:
    """Let the loop of *runtime* choose when processes end and messages are lost; called once, before there are any."""
    runtime.process_type = FaultyProcess


def is_hit(process: Explored, targets: tuple[Any, ...] | None) -> bool:
    """Say whether faults may hit *process*."""
    if process.server is None:
        return False
    if targets is None:
        return not process.server._otp_supervises
    return any(_is_meant(process, target) for target in targets)


def _is_meant(process: Explored, target: Any) -> bool:
    if isinstance(target, type):
        return isinstance(process.server, target)
    if isinstance(target, Pid) or not callable(target):
        return bool(target is process or (process.name is not None and process.name == target))
    return bool(target(process))


class FaultyProcess(ExploredProcess):
    """A process that may be chosen to end, and whose messages may be chosen to be lost."""

    __slots__ = ()

    offers: tuple[Any, ...] | None = None
    """The lanes of the faults that end it; there from the end of its ``init`` on, if it may be hit at all."""

    def _settled_init(self, result: Any) -> Any:
        pending = super()._settled_init(result)
        loop: Any = self.runtime.loop
        if self.exit_reason is None and is_hit(self, loop.faults.chosen()):
            self.offers = tuple(
                loop.offer_fault(f"{kind} {self.schedule_label}", action, (kind, self.explored_lane.path), kind=kind)
                for kind, action in (("kill", self._killed), ("crash", self._crashes))
                if loop.fault_left(kind)
            )
        return pending

    def _killed(self) -> None:
        self.die(KILLED)

    def _crashes(self) -> None:
        if self.exit_reason is None:
            error = InjectedCrash(f"the schedule let {self.schedule_label} crash here")
            self.open_mailbox().appendleft(Terminate(Crash(error)))
            if not self.scheduled:
                self.scheduled = True
                self.runtime.schedule(self)

    def die(self, reason: Any) -> None:
        for lane in self.offers or ():
            lane.withdraw()
        super().die(reason)

    def channel_from(self, sender: Any) -> Channel:
        channels = self.channels
        if channels is None or sender not in channels:
            if channels is None:
                channels = self.channels = {}
            loop: Any = self.runtime.loop
            kinds = tuple(kind for kind in _OF_MESSAGES if loop.fault_left(kind))
            if kinds and is_hit(self, loop.faults.chosen()):
                channels[sender] = FaultyChannel(sender, self, kinds)
        return super().channel_from(sender)


class FaultyChannel(Channel):
    """A channel whose next message may be lost, doubled or late."""

    __slots__ = ("fate", "kinds", "offers", "under_way")

    def __init__(self, sender: Any, receiver: Explored, kinds: tuple[str, ...]) -> None:
        super().__init__(sender, receiver)
        self.kinds = kinds
        self.under_way: deque[Any] = deque()
        self.fate: Callable[[Any], object] | None = None
        self.offers: list[Any] = []

    def carry(self, arrive: Callable[..., object], *args: Any) -> None:
        is_message = arrive == self.receiver.arrive and args[0].__class__ not in _LEFT_ALONE
        self.under_way.append(args[0] if is_message else _SIGNAL)
        super().carry(arrive, *args)
        if len(self.under_way) == 1:
            self._offer()

    def _arrived(self, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.under_way.popleft()
        for lane in self.offers:
            lane.withdraw()
        self.offers = []
        fate, self.fate = self.fate, None
        super()._arrived(arrive if fate is None else fate, args)
        if self.under_way:
            self._offer()

    def _offer(self) -> None:
        """Offer what may happen to the message that arrives next."""
        loop: Any = self.receiver.runtime.loop
        if not self.offers and self.under_way[0] is not _SIGNAL and self.receiver.exit_reason is None:
            fates = {"drop": self._drop, "duplicate": self._duplicate, "delay": self._delay}
            self.offers = [self._offered(loop, kind, fates[kind]) for kind in self.kinds if loop.fault_left(kind)]

    def _offered(self, loop: Any, kind: str, fate: Callable[[Any], object]) -> Any:
        def choose() -> None:
            self.fate = fate
            for lane in self.offers:
                lane.withdraw()

        def label() -> str:
            what, message = payload_of(self.under_way[0])
            return f"{kind} the {what} {shown(message)} ({self.schedule_label})"

        return loop.offer_fault(label, choose, (kind, self.explored_lane.path), kind=kind)

    # Fates -------------------------------------------------------------------------------------------------------

    def _drop(self, entry: Any) -> None:
        receiver = self.receiver
        if isinstance(entry, Call) and entry.value is PENDING:
            # Its caller hears of the end of the receiver as any caller would.
            if receiver.unanswered is None:
                receiver.unanswered = {}
            receiver.unanswered[entry] = None

    def _duplicate(self, entry: Any) -> None:
        self.receiver.arrive(entry)
        self.carry(self.receiver.arrive, entry)

    def _delay(self, entry: Any) -> None:
        self._drop(entry)
        runtime = self.receiver.runtime
        seconds = runtime.loop.faults.seconds  # type: ignore[attr-defined]
        runtime.clock.call_at(runtime.clock.time() + seconds, self.receiver.arrive, entry)
