"""Messages as they are delivered: to one process while a function runs, or between several, as a sequence diagram."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError, WaitTimeout
from supertester.otp.intercept import observe_entries
from supertester.otp.messages import Call, SystemEvent, payload_of
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing
from supertester.otp.runtime import Runtime, current
from supertester.sequence_diagram import Delivery, drawn, lanes_of, mermaid

__all__ = ["Delivery", "MessageFlow", "MessageTrace", "trace", "trace_messages"]


@dataclass(frozen=True, kw_only=True)
class MessageTrace:
    """What reached a process while a function ran.

    Attributes:
        messages: What was sent to it, in the order in which it was delivered: requests of calls, casts, other messages.
        initial_mailbox: What lay unhandled in its mailbox before.
        final_mailbox: What did so afterwards.
        result: What the function returned.
        deliveries: The messages with their kinds, senders and times.
    """

    messages: tuple[Any, ...]
    initial_mailbox: tuple[Any, ...]
    final_mailbox: tuple[Any, ...]
    result: Any
    deliveries: tuple[Delivery, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: messages as text."""
        names = ("messages", "initial_mailbox", "final_mailbox")
        lists = {name: [shown(message) for message in getattr(self, name)] for name in names}
        return {**lists, "result": shown(self.result), "deliveries": [each.to_dict() for each in self.deliveries]}


async def trace_messages(target: Reference, fn: Callable[[], Any], *, timeout: float = 2.0) -> MessageTrace:
    """Call *fn* and return what reached *target* meanwhile; *target* is not disturbed.

    Nothing is lost and the order is exact: what is noted is the delivery itself. Traces of one process may be nested.
    Requests of `supertester.otp.sys` and of ``stop`` are no messages.

    Args:
        target: The process.
        fn: Plain or async. Its exception is raised, and the tracing ends.
        timeout: Seconds that messages which other threads sent while *fn* ran may take to be delivered.

    Raises:
        UsageError: *target* is dead or unknown.
        WaitTimeout: The event loop was kept from delivering messages of other threads.

    >>> from supertester.otp import GenServer
    >>> class Sink(GenServer):
    ...     def handle_cast(self, message):
    ...         pass
    >>> async def main():
    ...     sink = await Sink.start_link()
    ...     return (await trace_messages(sink, lambda: sink.cast("hello"))).messages
    >>> asyncio.run(main())
    ('hello',)
    """
    checked_seconds("timeout", timeout)
    if not callable(fn):
        raise TypeError(f"trace_messages() takes a function to call, got {fn!r}")
    process = existing(target, "trace_messages")
    deliveries: list[Delivery] = []
    initial = _mailbox(process)
    with _noting(process, deliveries.append):
        result = fn()
        if inspect.isawaitable(result):
            result = await result
        await _arrivals(process.runtime, timeout)
        final = _mailbox(process)
    return MessageTrace(
        messages=tuple(each.message for each in deliveries),
        initial_mailbox=initial,
        final_mailbox=final,
        result=result,
        deliveries=tuple(deliveries),
    )


def _mailbox(process: Process) -> tuple[Any, ...]:
    entries = [payload_of(entry) for entry in list(process.queue)]
    return tuple(message for kind, message in entries if kind in ("call", "cast", "info"))


@contextmanager
def _noting(process: Process, note: Callable[[Delivery], object]) -> Iterator[None]:
    """Note what is delivered to *process*."""

    def on_entry(entry: Any) -> None:
        kind, message = payload_of(entry)
        sender = entry.pid if isinstance(entry, Call) else current.get()
        if isinstance(sender, Runtime):
            sender = None
        note(Delivery(kind=kind, sender=sender, receiver=process, message=message, at=process.runtime.clock.time()))

    with observe_entries(process, on_entry):
        yield


async def _arrivals(runtime: Runtime, timeout: float) -> None:
    """Wait until what other threads have sent so far is delivered: the loop takes it in the order of its sending."""
    arrived = runtime.loop.create_future()
    runtime.loop.call_soon_threadsafe(arrived.set_result, None)
    try:
        await asyncio.wait_for(arrived, timeout or None)
    except TimeoutError:
        raise WaitTimeout(f"the messages of other threads were not delivered within {timeout:g} s") from None


# Several processes --------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class MessageFlow:
    """The messages and replies between several processes, in one order; made by `trace`."""

    processes: tuple[Process, ...]
    deliveries: list[Delivery] = field(default_factory=list)
    """What was delivered so far, oldest first."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for process in self.processes:
                stack.enter_context(_noting(process, self.deliveries.append))
                stack.enter_context(_replies_of(process, self._replied))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _replied(self, event: SystemEvent) -> None:
        self.deliveries.append(
            Delivery(kind="reply", sender=event.pid, receiver=event.to, message=event.message, at=event.at)
        )

    @property
    def messages(self) -> tuple[Any, ...]:
        """What was sent, without the replies, oldest first."""
        return tuple(each.message for each in self.deliveries if each.kind != "reply")

    def diagram(self) -> str:
        """Return a sequence diagram as text: a lane for each process, a line for each message.

        >>> from supertester.otp import Agent, GenServer
        >>> class Echo(GenServer):
        ...     def handle_call(self, request, sender):
        ...         return request
        >>> async def main():
        ...     echo = await Echo.start_link(name="echo")
        ...     with trace(echo) as flow:
        ...         await echo.call("hello")
        ...     return flow.diagram()
        >>> print(asyncio.run(main()))
        test                echo
          |                   |
          |-- call 'hello' -->|
          |<- reply 'hello' --|
        """
        return drawn(self.deliveries, lanes_of(self.processes, self.deliveries))

    def mermaid(self) -> str:
        """Return the same as a Mermaid ``sequenceDiagram``."""
        return mermaid(self.deliveries)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form, for a report to draw."""
        lanes = lanes_of(self.processes, self.deliveries)
        return {"lanes": lanes, "deliveries": [each.to_dict() for each in self.deliveries]}


def trace(*targets: Reference) -> MessageFlow:
    """Note all messages to *targets*, and their replies, while the ``with`` block runs.

    Raises:
        UsageError: There is no target, or one is dead or unknown.
    """
    if not targets:
        raise UsageError("trace() needs the processes to trace; give at least one")
    return MessageFlow(tuple(dict.fromkeys(existing(target, "trace") for target in targets)))


@dataclass(eq=False)
class _Replies:
    """A tracer that hands on replies, beside the tracer that was there before."""

    fn: Callable[[SystemEvent], object]
    before: Callable[[SystemEvent], object] | None

    def __call__(self, event: SystemEvent) -> None:
        if event.kind == "reply":
            self.fn(event)
        if self.before is not None:
            self.before(event)


@contextmanager
def _replies_of(process: Process, fn: Callable[[SystemEvent], object]) -> Iterator[None]:
    """Call *fn* for each reply of *process*."""
    tracer = process.tracer = _Replies(fn, process.tracer)
    process.heed()
    try:
        yield
    finally:
        _remove(process, tracer)
        process.heed()


def _remove(process: Process, tracer: _Replies) -> None:
    """Take *tracer* out of those of *process*, wherever it stands: blocks may end in any order."""
    if process.tracer is tracer:
        process.tracer = tracer.before
        return
    later = process.tracer
    while isinstance(later, _Replies):
        if later.before is tracer:
            later.before = tracer.before
            return
        later = later.before
