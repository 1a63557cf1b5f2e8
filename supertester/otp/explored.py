"""Processes on a loop that explores: each delivery and each turn is a step, in any order that Erlang allows.

What one process sends to another arrives in the order in which it was sent; what different senders send arrives in any
order. So each pair of a sender and a receiver has a `Channel`, which is a lane of the loop, and so has each process. A
turn handles one message. Exit signals of links and reports of monitors travel by the channel of whoever has ended. A
reply has arrived when its caller goes on; until then the caller's patience may still run out.

The loop is known by its attribute ``explores`` alone, and told what a lane is by ``schedule_lane``. On any other loop
nothing of this module is even imported.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, ClassVar, Final

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit
from supertester.otp.drive import wake
from supertester.otp.life import INIT, UNOPENED, current_task, refuse
from supertester.otp.messages import ENVELOPES, PENDING, Call, CastBox, Down, Exit, Failure, System
from supertester.otp.process import Pending, Process, entered
from supertester.otp.reasons import INFINITY
from supertester.otp.results import NOTHING
from supertester.otp.root import Root
from supertester.otp.runtime import ProcessExited, Runtime, current
from supertester.otp.standing import standing_of

__all__ = ["Channel", "Explored", "ExploredIdleness", "ExploredProcess", "ExploredRoot", "explore"]


def explore(runtime: Runtime) -> None:
    """Let every process of *runtime* be explored from now on; called once, before there is any."""
    runtime.process_type = ExploredProcess
    runtime.root_type = ExploredRoot
    runtime.explored_idleness = ExploredIdleness
    runtime.budget = 1
    # Here and not where processes are made, where to ask for their class would cost each start.
    runtime.on_spawn.append(_becomes_explored)
    runtime.under_way = copy_context()
    runtime.loop.explain = standing_of  # type: ignore[attr-defined]
    if getattr(runtime.loop, "faults", None) is not None:
        from supertester.otp.faulting import let_go_wrong

        let_go_wrong(runtime)
    if getattr(runtime.loop, "accesses", None) is not None:
        from supertester.otp.tracked import track

        track(runtime)


def _becomes_explored(process: Any) -> None:
    process.__class__ = process.runtime.process_type
    process.enter_schedule()


class Channel:
    """What one sender has on its way to one process: these keep their order, and no order with anything else."""

    __slots__ = ("explored_lane", "receiver", "sender")

    schedule_lane: ClassVar[str] = "delivery"

    def __init__(self, sender: Any, receiver: Explored) -> None:
        self.sender = sender
        self.receiver = receiver
        # The loop knows its lane by this attribute.
        self.explored_lane = receiver.runtime.loop.new_lane("delivery", self)  # type: ignore[attr-defined]

    @property
    def schedule_label(self) -> str:
        return f"{self.receiver.schedule_label} <- {_named(self.sender)}"

    def carry(self, arrive: Callable[..., object], *args: Any) -> None:
        """Let ``arrive(*args)`` happen after all that is on its way already."""
        receiver = self.receiver
        receiver.in_flight += 1
        runtime = receiver.runtime
        runtime.loop.call_soon(self._arrived, arrive, args, context=runtime.under_way)

    def _arrived(self, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        receiver = self.receiver
        receiver.in_flight -= 1
        arrive(*args)
        if receiver.runtime.idle_watches:
            receiver.runtime.now_resting(receiver)

    def __repr__(self) -> str:
        return f"<channel {self.schedule_label}>"


def _named(sender: Any) -> str:
    if isinstance(sender, asyncio.Task):
        lane = getattr(sender, "explored_lane", None)
        return sender.get_name() if lane is None else str(lane.label)
    return str(getattr(sender, "schedule_label", "outside"))


_LONGEST: Final = 24
"""Letters of a name that is shown."""
_PAUSING: Final = object()
"""In place of a message: between two turns of a process that has a task."""
_STARTED: Final = object()
"""In place of a message: the turn of ``init`` is not over yet."""


@coroutine
def _pause() -> Generator[None, None, None]:
    yield


class Explored(Process):
    """What an explored process does otherwise than one that nobody explores."""

    __slots__ = ()

    schedule_lane: ClassVar[str] = "process"
    channels: dict[Any, Channel] | None = None

    explored_lane: Any

    def enter_schedule(self) -> None:
        """Get a lane; called once, when it is made."""
        self.explored_lane = self.runtime.loop.new_lane("process", self)  # type: ignore[attr-defined]

    @property
    def schedule_label(self) -> str:
        what = getattr(self.initial_call, "__name__", self.initial_call)
        # The names that helpers of tests give are long, and say what the test is called.
        return f"{what}#{self.id}" if self.name is None or len(str(self.name)) > _LONGEST else str(self.name)

    # On the way here ---------------------------------------------------------------------------------------------

    def open_mailbox(self) -> deque[Any]:
        queue = super().open_mailbox()
        if self.put is not refuse:
            self.put = self.send_off
        return queue

    def deliver(self, entry: Any) -> None:
        (self.put or self.first_put())(entry)

    def cast(self, message: Any) -> None:
        self._check_doomed()
        self.deliver(CastBox(message) if message.__class__ in ENVELOPES else message)

    def _check_doomed(self) -> None:
        if self.runtime.doomed and current.get() in self.runtime.doomed:
            raise ProcessExited

    def send_off(self, entry: Any) -> None:
        """Put *entry* on its way; what a process sends to itself is there at once."""
        sender = self._sender_of(entry)
        if sender is self:
            self.arrive(entry)
        else:
            self.channel_from(sender).carry(self.arrive, entry)
            if self.runtime.idle_watches:
                self.runtime.now_busy(self)

    def _sender_of(self, entry: Any) -> Any:
        """Return who sends *entry*: a process, or a task that is none, or ``None``."""
        here = current.get()
        if entry.__class__ is Down:
            return entry.ref.target
        if entry.__class__ is Exit and entry.pid is not here:
            return entry.pid  # Who is dead already.
        if here is None or isinstance(here, (Runtime, Root)):
            return current_task() or here  # The tasks of a test are not one actor.
        return here

    def channel_from(self, sender: Any) -> Channel:
        """Return the one channel from *sender*."""
        channels = self.channels
        if channels is None:
            channels = self.channels = {}
        channel = channels.get(sender)
        if channel is None:
            channel = channels[sender] = Channel(sender, self)
        return channel

    def arrive(self, entry: Any) -> None:
        if self.exit_reason is not None:
            refuse(entry)
            return
        (self.open_mailbox() if self.queue is UNOPENED else self.queue).append(entry)
        if not self.scheduled:
            self.scheduled = True
            self.runtime.schedule(self)

    # Calls -------------------------------------------------------------------------------------------------------

    async def call(self, request: Any, timeout: float = 5.0) -> Any:
        caller = current.get()
        if caller.__class__ is Runtime:
            caller = None
        self._check_call(caller, request, checked_timeout(timeout))
        slot = Call.to(self, request)
        slot.caller = caller  # type: ignore[assignment]
        self.deliver(slot)
        value = await self.answer(slot, timeout)
        if value.__class__ is Failure:
            raise CallExit(value.reason, ("call", self, request, timeout))
        return value

    async def answer(self, slot: Call, timeout: float, began: float | None = None) -> Any:
        runtime = self.runtime
        if slot.value is PENDING:
            slot.future = runtime.loop.create_future()
            clock = runtime.clock
            deadline = (clock.time() if began is None else began) + timeout
            timer = None if timeout == INFINITY else clock.call_at(deadline, slot.expire_unread)
            try:
                await slot.future
            except BaseException:
                slot.abandon()
                raise
            finally:
                if timer is not None:
                    timer.cancel()
        return slot.value

    # Signals -----------------------------------------------------------------------------------------------------

    def take_exit(self, signal: Exit) -> None:
        if self.trap_exit and self.exit_reason is None:
            self.deliver(signal)
        else:
            super().take_exit(signal)

    def lose_link(self, signal: Exit) -> None:
        if not self.runtime.closing:
            self.channel_from(signal.pid).carry(self._link_lost, signal)

    def _link_lost(self, signal: Exit) -> None:
        if self.links is None or self.links.pop(signal.pid, NOTHING) is not None:  # type: ignore[call-overload]
            return
        if self.trap_exit:
            self.arrive(signal)
        else:
            super().take_exit(signal)

    def take_down(self, report: Down) -> None:
        if not self.runtime.closing:
            self.channel_from(report.ref.target).carry(self._target_down, report)

    def _target_down(self, report: Down) -> None:
        if self.exit_reason is None and self.monitors is not None and self.monitors.pop(report.ref, None) is not None:
            self.arrive(report)


class ExploredProcess(Explored):
    """A process with a server."""

    __slots__ = ()

    def start_plainly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run ``init`` in a task, whatever it is: whoever starts a server waits for it, and others go on meanwhile."""
        server = self.server
        assert server is not None
        self.started = self.runtime.loop.create_future()
        steps = server._otp_enter(args, kwargs) if server._otp_supervises else entered(server, args, kwargs)
        self.begin_task((INIT, steps, PENDING))

    def new_task(self, coro: Any, *, loop: Any, context: Any) -> asyncio.Task[None]:
        """Return a task in the lane that the process has without one, too."""
        task: asyncio.Task[None] = loop.create_task_in(
            self.explored_lane, coro, name=self.schedule_label, context=context
        )
        return task

    def drain(self) -> Pending | None:
        """Take one turn. With a task, let others have theirs before the next."""
        if self.task is None:
            return super().drain()
        if self.current is None:
            pending = super().drain()
            if pending is not None or self.exit_reason is not None:
                return pending
        if not self.queue or self._only_waits():
            return None
        self.current = None
        return _PAUSING, _pause(), PENDING

    def _settled_init(self, result: Any) -> Pending | None:
        pending = super()._settled_init(result)
        if self.exit_reason is None:
            self.current = _STARTED
        return pending


class ExploredRoot(Explored, Root):
    """The body of a test: what is sent to it arrives when its channel has its turn."""

    __slots__ = ()

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.enter_schedule()
        self.put = self.send_off

    def arrive(self, entry: Any) -> None:
        if isinstance(entry, System):
            entry.settle(Failure("not_a_server"))
            return
        if self.exit_reason is not None:
            refuse(entry)
            return
        self.queue.append(entry)
        for arrival in self.arrivals:
            wake(arrival)


class ExploredIdleness:
    """Somebody waits until processes are idle, and is told in a step of its own.

    That step follows from the beginning of the waiting. Were it the last step of the last process, all that this one
    did would seem to come after that beginning, too.
    """

    schedule_lane: ClassVar[str] = "process"
    schedule_label: ClassVar[str] = "idleness"

    def __init__(self, runtime: Runtime, chosen: frozenset[Process] | None) -> None:
        self.runtime = runtime
        self.chosen = chosen
        self.future: asyncio.Future[None] = runtime.loop.create_future()
        # The loop knows its lane by this attribute.
        self.explored_lane = runtime.loop.new_lane(self.schedule_lane, self)  # type: ignore[attr-defined]

    def rested(self) -> None:
        """Note that all are idle."""
        self.runtime.loop.call_soon(self.tell, context=self.runtime.under_way)

    def tell(self) -> None:
        """Let who waits go on."""
        wake(self.future)

    def over(self) -> None:
        """Note that who waited has seen that all are idle."""
