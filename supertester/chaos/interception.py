"""What the faults of messages have in common: whose messages they are, which are hit, and what is known of those."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import Any, Self

from supertester._core.evidence import shown
from supertester.chaos.chance import Chance
from supertester.chaos.journal import noting_here
from supertester.chaos.undoing import at_end_of_test
from supertester.otp.intercept import deliver_past, intercept_entries
from supertester.otp.messages import PENDING, Call, ContinueMark, Down, Exit, TimeoutMark, payload_of
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.runtime import Runtime
from supertester.telemetry.emission import told

__all__ = ["MessageFault", "MessageHit", "keep"]

_SIGNALS = frozenset({Exit, Down, TimeoutMark, ContinueMark})
"""What the runtime sends. It is left alone: without it, nobody would know of the end of another."""


@dataclass(eq=False)
class MessageHit:
    """A message that a fault has hit.

    Attributes:
        target: To whom it was sent.
        kind: ``"call"``, ``"cast"`` or ``"info"``.
        message: What was sent.
        at_ms: When, in milliseconds since the fault was switched on.
        outcome: What became of it so far.
        delivered_ms: When it was delivered, if it was; as ``at_ms``.
    """

    target: Pid
    kind: str
    message: Any
    at_ms: float
    outcome: str = "held"
    delivered_ms: float | None = None

    def __str__(self) -> str:
        return f"{self.at_ms:.1f} ms: {self.kind} {shown(self.message)} to {self.target!r}: {self.outcome}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {**vars(self), "target": shown(self.target), "message": shown(self.message)}


class MessageFault:
    """A fault of messages that is on: it stands before the mailboxes, and knows what it has done.

    It is on from the call that made it until the end of the ``with`` block, `stop`, or the end of the test, whatever
    comes first.

    Attributes:
        fault: Which fault, e.g. ``"drop"``.
        target: Whose messages, as it was asked for.
        seed: What it chooses by; give it as ``seed=`` to make the same choices again.
        hits: The messages that were hit so far, in the order in which they were sent.
    """

    def __init__(self, fault: str, target: Any, chance: Chance) -> None:
        self.fault = fault
        self.target = target
        self.seed = chance.seed
        self.hits: list[MessageHit] = []
        self._chance = chance
        self._lock = threading.RLock()  # Messages come from any thread, and predicates may send some.
        self._note = noting_here()
        self._interceptors: dict[Process, Callable[[Any], Iterable[Any]]] = {}
        self._stack = ExitStack()
        self._on = False

    @property
    def active(self) -> bool:
        """Whether it is still on."""
        return self._on

    @property
    def messages(self) -> list[Any]:
        """What was in the messages that were hit."""
        return [hit.message for hit in self.hits]

    def stop(self) -> None:
        """Let it be over: what was kept back is delivered now, in the order in which it was sent."""
        if self._on:
            self._runtime.check_thread(f"the end of {self.fault}")
            self._on = False
            with self._stack:
                self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __str__(self) -> str:
        count = "1 message" if len(self.hits) == 1 else f"{len(self.hits)} messages"
        head = f"{self.fault} hit {count} to {shown(self.target)} (seed={self.seed})"
        return "\n".join([head, *(f"  {hit}" for hit in self.hits)])

    def __repr__(self) -> str:
        return (
            f"<{self.fault} of messages to {shown(self.target)}: {'on' if self._on else 'over'}, {len(self.hits)} hit>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        hits = [hit.to_dict() for hit in self.hits]
        return {"fault": self.fault, "target": shown(self.target), "seed": self.seed, "hits": hits}

    # Whose messages ----------------------------------------------------------------------------------------------

    def _begin_for(self, process: Process) -> None:
        """Be on for *process*, and if the target is its name, for whoever gets that name next."""
        name = process.name
        followed = name is not None and self.target == name
        self._begin([process], process.runtime, lambda new: followed and new.name == name)

    def _begin(self, processes: Iterable[Process], runtime: Runtime, follows: Callable[[Process], bool]) -> None:
        """Be on for *processes*, and for each new one that *follows*."""
        self._runtime = runtime
        self._began = runtime.clock.time()
        self._on = True
        with self._stack as stack:
            stack.callback(stack.enter_context(told("chaos.message_fault", vars(self), current=False)), self)
            for process in processes:
                self._attach(process)

            def on_spawn(process: Process) -> None:
                if follows(process):
                    self._attach(process)

            runtime.on_spawn.append(on_spawn)
            stack.callback(runtime.on_spawn.remove, on_spawn)
            stack.callback(at_end_of_test(self.stop))
            self._stack = stack.pop_all()

    def _attach(self, process: Process) -> None:
        interceptor = self._interceptors[process] = partial(self._on_entry, process)
        self._stack.enter_context(intercept_entries(process, interceptor))

    # Which messages ----------------------------------------------------------------------------------------------

    def _on_entry(self, process: Process, entry: Any) -> Iterable[Any]:
        if entry.__class__ in _SIGNALS:
            return [entry]
        kind, message = payload_of(entry)
        with self._lock:
            if not (self._on and self._chance.takes(message)):
                return [entry]
            hit = MessageHit(process, kind, message, self._elapsed_ms())
            self.hits.append(hit)
            result = self._act(process, entry, hit)
        self._note(self.fault, process, {"kind": kind, "message": shown(message), "outcome": hit.outcome})
        return result

    def _elapsed_ms(self) -> float:
        return (self._runtime.clock.time() - self._began) * 1000

    # What becomes of them ----------------------------------------------------------------------------------------

    def _act(self, process: Process, entry: Any, hit: MessageHit) -> Iterable[Any]:
        """Return what is to be delivered instead of *entry*."""
        raise AssertionError("each fault says what it does")

    def _finish(self) -> None:
        """Deliver what was kept back."""

    def _release(self, process: Process, entry: Any, hit: MessageHit, outcome: str) -> None:
        """Deliver *entry*, which was kept back; has to be called in the runtime's thread."""
        if process.exit_reason is not None:
            hit.outcome = f"lost, for it has ended: {shown(process.exit_reason)}"
        else:
            hit.outcome, hit.delivered_ms = outcome, self._elapsed_ms()
        deliver_past(process, self._interceptors[process], entry)

    def _in_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* in the runtime's thread: now, or as soon as its loop turns."""
        if get_ident() == self._runtime.thread:
            function(*args)
        else:
            self._runtime.loop.call_soon_threadsafe(function, *args)


def keep(process: Process, entry: Any) -> None:
    """Let the caller of a request that is not delivered hear of the target's end as any caller would."""
    if isinstance(entry, Call) and entry.value is PENDING:
        if process.unanswered is None:
            process.unanswered = {}
        process.unanswered[entry] = None
