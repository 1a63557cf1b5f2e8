"""The life of a process: its identity, its ties to others, and its death.

`Life` knows what everybody may do to a process and what its end does to others. How it handles messages is `Process`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from supertester._core.clock import TimerHandle
from supertester.otp.elsewhere import Reference, export
from supertester.otp.messages import PENDING, Call, Down, Exit, Failure, Info, Ref, SystemEvent, payload_of
from supertester.otp.pid import Pid
from supertester.otp.reasons import KILLED, NOPROC, NORMAL, is_reason
from supertester.otp.results import NOTHING
from supertester.otp.runtime import Death, Runtime, current

if TYPE_CHECKING:
    from supertester.otp.genserver import GenServer
    from supertester.otp.process import Process

__all__ = ["BARE", "INIT", "UNOPENED", "Init", "Life", "refuse"]


class Init:
    """In place of a message: the server's ``init``."""

    __slots__ = ()


INIT: Final = Init()


UNOPENED: Final[deque[Any]] = deque(maxlen=0)
"""The mailbox of every process that never got a message."""
_opening = threading.Lock()
_new = tuple.__new__
"""Makes a named tuple in half the time: what its class adds is written in Python."""


_NO_CONTEXT: Final = Context()
BARE: Final = Context()
"""The context of every idle process that holds no variable but `current`: its own is made anew when it is needed."""


def refuse(entry: Any) -> None:
    """Be the mailbox of a dead process; no method, or the process would hold itself until the next collection."""
    if isinstance(entry, Call) and entry.value is PENDING:
        entry.settle(Failure(NOPROC))


def current_task() -> asyncio.Task[Any] | None:
    """Return the task that runs, also where no event loop does."""
    return asyncio.current_task() if asyncio._get_running_loop() is not None else None


class Life(Pid):
    """What lives in a runtime. Attributes that few processes ever need are class defaults, so starting one is cheap."""

    __slots__ = (
        "__dict__",
        "attention",
        "context",
        "current",
        "handled",
        "initial_call",
        "links",
        "parent",
        "put",
        "queue",
        "record",
        "runtime",
        "scheduled",
        "server",
        "spawner",
        "task",
        "unanswered",
    )

    begun: bool = False
    """Whether the task has taken its first step."""
    callbacks: dict[object, Callable[[Process], object]] | None = None
    exported_as: Reference | None = None
    """What it is called in other processes of the operating system, once it has been pickled."""
    gave_up: bool = False
    """Whether its start took longer than the starter would wait."""
    ignored: bool = False
    """Whether `init` chose not to run."""
    in_flight: int = 0
    """How many messages are on their way to it; none, except while the loop explores."""
    interceptors: list[Callable[[Any], Iterable[Any]]] | None = None
    late_replies: int = 0
    observers: list[Callable[[Any], object]]
    """Who is told of each delivery; there while `interceptors` is."""
    monitors: dict[Ref, Process] | None = None
    """The monitors it set, and on whom."""
    parked: asyncio.Future[None] | None = None
    """What its task waits for between messages."""
    resisted_kill: bool = False
    started: asyncio.Future[None] | None = None
    """Done when `init` is, where that takes time."""
    steps: Coroutine[Any, Any, Any] | None = None
    """The coroutine of the handler that runs."""
    suspended: bool = False
    timeout: float | None = None
    """Seconds of the ``timeout=`` that runs."""
    timer: TimerHandle | None = None
    tracer: Callable[[SystemEvent], object] | None = None
    trap_exit: bool = False
    unborn: bool = False
    """Whether it died before its `init` was done."""
    watchers: dict[Ref, tuple[Process, Any]] | None = None
    """Who monitors it, and as what."""

    def __init__(self, runtime: Runtime, server: GenServer | None, spawner: Process | None) -> None:
        self.id = next(runtime.ids)
        self.name = None
        self.exit_reason = None
        self.runtime = runtime
        self.server: GenServer | None = server
        self.initial_call: Any = server.__class__
        self.spawner = spawner
        if spawner is not None:
            # Whoever ended long ago is no help to anybody; kept, a server that starts its successor would grow a chain.
            below = spawner
            while (above := below.spawner) is not None:
                if above.exit_reason is None:
                    below = above
                else:
                    below.spawner = above.spawner
        self.parent: Process | None = None
        self.queue: deque[Any] = UNOPENED
        self.put: Callable[[Any], object] | None = None  # Until the first message opens the mailbox.
        # True from the moment that somebody has to run the mailbox until it is found empty. Messages that come while
        # the process starts must wait until `init` is done, so it is born busy.
        self.scheduled = True
        self.context: Context = copy_context()
        self.task: asyncio.Task[None] | None = None
        self.current: Any = INIT
        self.attention = False
        self.links: dict[Process, None] | None = None
        self.unanswered: dict[Call, None] | None = None
        self.handled = 0
        self.record: deque[Any] | None = deque(maxlen=runtime.history) if runtime.history else None
        runtime.processes[self] = None  # type: ignore[index]

    # Identity ----------------------------------------------------------------------------------------------------

    @property
    def os_pid(self) -> int:
        """The operating system's number of the process that its code runs in."""
        return os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return export(self)

    def __repr__(self) -> str:
        what = getattr(self.initial_call, "__qualname__", "process")
        name = "" if self.name is None else f" {self.name!r}"
        try:
            end = "" if self.exit_reason is None else f" dead: {self.exit_reason!r}"
        except Exception as error:  # noqa: BLE001  # A reason that cannot show itself must not spoil every message.
            end = f" dead: <{type(self.exit_reason).__name__} whose repr raised {type(error).__name__}>"
        return f"<Pid {self.id} {what}{name}{end}>"

    def ancestors(self) -> list[Process]:
        """Return who started this process, who started that, and so on."""
        found = []
        ancestor = self.spawner
        while ancestor is not None:
            found.append(ancestor)
            ancestor = ancestor.spawner
        return found

    @property
    def recent_messages(self) -> list[Any]:
        """The last messages handled, oldest first, as ``(kind, message)``; how many, the runtime's ``history`` says."""
        return [payload_of(entry) for entry in self.record or ()]

    def open_mailbox(self) -> deque[Any]:
        """Return the mailbox, made when it is first needed: an idle process does without its 600 bytes."""
        _opening.acquire()  # Several threads may be the first. Twice as fast as `with`, and every process pays it once.
        try:
            if self.queue is UNOPENED and self.exit_reason is None:
                queue: deque[Any] = deque()
                self.queue = queue
                if self.context is BARE:  # Looked at second: whoever makes it bare looks at the mailbox second.
                    self.context = self._own_context()
                self.put = queue.append
                if self.exit_reason is not None:  # It has died meanwhile, which waits for no lock.
                    self.queue = UNOPENED  # type: ignore[unreachable]  # Or so it looks, without other threads.
                    self.put = refuse
        finally:
            _opening.release()
        return self.queue

    def _own_context(self) -> Context:
        context = Context()
        context.run(current.set, self)  # type: ignore[arg-type]
        return context

    def variables(self) -> dict[str, Any]:
        """Return the values of the context variables that its code sees, by name."""
        context = self._own_context() if self.context is BARE else self.context
        return {variable.name: value for variable, value in context.items()}

    def first_put(self) -> Callable[[Any], object]:
        """Return what puts a message into the mailbox, opened for it."""
        self.open_mailbox()
        return self.put or refuse  # It may be dying just now.

    def deliver(self, entry: Any) -> None:
        """Put *entry* into the mailbox and see to it that it is handled."""
        (self.put or self.first_put())(entry)
        if not self.scheduled:
            self.scheduled = True
            self.runtime.schedule(self)  # type: ignore[arg-type]

    def is_watched(self) -> None:
        """Somebody waits for it to have nothing to do, of which most processes tell anyway."""

    def arrive(self, entry: Any) -> None:
        """Do the same for what nobody sends, such as a timer's message: it is on its way no longer."""
        self.deliver(entry)

    # Death -------------------------------------------------------------------------------------------------------

    def take_exit(self, signal: Exit) -> None:
        """Receive an exit signal that can be trapped (rules 5 and 6)."""
        if self.exit_reason is not None:
            return
        if self.trap_exit:
            self.deliver(signal)
        elif not is_reason(signal.reason, NORMAL) or signal.pid is self:
            self.die(signal.reason)

    def die(self, reason: Any) -> None:
        """End at once: from here on everybody sees the process dead."""
        if self.exit_reason is not None:
            return
        self.exit_reason = reason
        runtime = self.runtime
        runtime.processes.pop(self, None)  # type: ignore[call-overload]
        name = self.name
        if name is not None and runtime.names.get(name) is self:
            del runtime.names[name]
        runtime.deaths.append(_new(Death, (self, reason, runtime.clock.time())))
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.current is not None or self.queue or self.unanswered:
            self._fail_callers(reason)
        self._tell(reason)
        if self.current is not None:
            if self.current is INIT:
                self.unborn = True
            runtime.doomed.add(self)  # type: ignore[arg-type]
        if self.started is not None and not self.started.done():
            self.started.set_result(None)
        # A task that has not taken its first step sees the death there, one that runs sees it after its present step.
        if self.task is not None and self.begun and current_task() is not self.task:
            self.task.cancel()
        self.server = None
        self.queue = UNOPENED
        self.put = refuse
        self.context = _NO_CONTEXT
        self.scheduled = True
        self.tracer = None
        if runtime.idle_watches:
            runtime.now_resting(self)  # type: ignore[arg-type]
        runtime.flush_signals()

    def never_was(self) -> None:
        """Take back a process that could not even begin."""
        self.die(KILLED)
        self.current = None
        self.runtime.doomed.discard(self)

    def _fail_callers(self, reason: Any) -> None:
        failure = Failure(reason)
        for entry in (self.current, *(self.unanswered or ()), *list(self.queue)):
            if isinstance(entry, Call) and entry.value is PENDING:
                entry.settle(failure)
        self.unanswered = None

    def _tell(self, reason: Any) -> None:
        """Queue the signals that tell of the death: monitors, links, callbacks."""
        signal = self.runtime.signals.append
        if self.monitors:
            for ref, target in self.monitors.items():
                if target.watchers is not None:
                    target.watchers.pop(ref, None)
            self.monitors = None
        if self.watchers:
            for ref, (watcher, shown) in self.watchers.items():
                signal((watcher.take_down, Down(ref, shown, reason)))
            self.watchers = None
        if self.links:
            exit = _new(Exit, (self, reason))
            for linked in self.links:
                signal((linked.lose_link, exit))
            self.links = None
        if self.callbacks:
            for callback in self.callbacks.values():
                signal((self._call_back, callback))
            self.callbacks = None

    def _call_back(self, callback: Callable[[Process], object]) -> None:
        # On nobody's behalf: as the dead process, its first runtime call would end it.
        token = current.set(self.runtime)
        try:
            callback(self)  # type: ignore[arg-type]
        finally:
            current.reset(token)

    def lose_link(self, signal: Exit) -> None:
        """Receive the link signal of another's death."""
        pid = signal[0]  # Which is faster than by name.
        if self.links is not None and self.links.pop(pid, NOTHING) is None:  # type: ignore[call-overload]
            self.take_exit(signal)

    def take_down(self, report: Down) -> None:
        """Receive the report of a monitor."""
        if self.exit_reason is None and self.monitors is not None and self.monitors.pop(report.ref, None) is not None:
            self.deliver(report)

    def note_late_reply(self, call: Call, value: Any) -> None:
        """Count a reply that came after its caller's timeout, and deliver it where the runtime says so (rule 15)."""
        self.late_replies += 1
        self.runtime.late_replies += 1
        if self.runtime.late_reply == "deliver" and call.caller is not None and call.caller.exit_reason is None:
            call.caller.deliver(Info((call, value)))

    # Links, monitors and other ties --------------------------------------------------------------------------------

    def link(self, other: Process) -> None:
        """Tie the two lives together."""
        if self.links is None:
            self.links = {other: None}
        else:
            self.links[other] = None
        if other.links is None:
            other.links = {self: None}  # type: ignore[dict-item]
        else:
            other.links[self] = None  # type: ignore[index]

    def unlink(self, other: Process) -> None:
        """Untie them."""
        if self.links is not None:
            self.links.pop(other, None)
        if other.links is not None:
            other.links.pop(self, None)  # type: ignore[call-overload]

    def on_exit(self, callback: Callable[[Process], object]) -> Callable[[], object]:
        """Call ``callback(pid)`` when the process has ended, at once if it has; return a function that forgets it."""
        if self.exit_reason is not None:
            callback(self)  # type: ignore[arg-type]
            return lambda: None
        if self.callbacks is None:
            self.callbacks = {}
        key = object()
        self.callbacks[key] = callback
        return lambda: self.callbacks.pop(key, None) if self.callbacks is not None else None
