"""`Runtime`: the world that processes live in: their names, their time, and who runs next.

A plain asyncio program never sees it: there is one default runtime per event loop, with nothing to open or close.
Tests make one of their own, so that names, time, scheduling and evidence belong to one test.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import count
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeVar

from supertester._core.clock import Clock, LoopClock, TimerHandle
from supertester.errors import UsageError
from supertester.otp.messages import PENDING, Call
from supertester.otp.reasons import KILLED
from supertester.otp.turns import Turn, takes_turns

if TYPE_CHECKING:
    from supertester.otp.explored import ExploredIdleness, ExploredProcess
    from supertester.otp.idle import IdleWatch
    from supertester.otp.pid import Pid
    from supertester.otp.process import Process
    from supertester.otp.root import Root

__all__ = [
    "CALLS_A_ROUND",
    "DIRECT_TURNS",
    "Death",
    "ProcessExited",
    "Runtime",
    "Scheduler",
    "acting_process",
    "check_doomed",
    "current",
    "current_runtime",
    "default_runtime",
    "runtime_of",
    "stand_ins",
]

T = TypeVar("T")

_running_loop = asyncio._get_running_loop
_BUDGET: Final = 1000
"""Messages that a process may handle before others get their turn."""
CALLS_A_ROUND: Final = 16
"""Calls in a row for which the loop need not go round where nothing else is ready; there it looks at timers, too."""
DIRECT_TURNS: Final = 128
"""Direct calls after which a caller lets the loop go round."""
_DEFAULT_TIMEOUT: Final = 5.0
_COMPACT_AT: Final = 1000
"""Deadlines that may pile up behind one that is still to come."""
_EARLY: Final = 1e-6
"""Loops fire timers up to their clock's resolution early."""


class ProcessExited(asyncio.CancelledError):
    """Unwinds a handler whose process is dead already: it dies at its next runtime call (rule 10)."""


class Death(NamedTuple):
    """One line of a runtime's recent history: who ended, why, and when on the runtime's clock."""

    pid: Pid
    reason: Any
    at: float


class Scheduler(Protocol):
    """Takes over the run queue: decides which runnable process goes on next (rule 36)."""

    def ready(self, process: Process) -> None:
        """Take note that *process* has something to do; let ``runtime.resume(process)`` run it later."""


current: contextvars.ContextVar[Process | Runtime | None] = contextvars.ContextVar("supertester.otp", default=None)
"""Whose code runs here: a process, or a bare runtime, or neither."""
stand_ins: list[Callable[[], Process | None]] = []
"""Asked where that is needed and neither is there: whose body is a process that is made when it is needed?"""


class Runtime:
    """A world of processes on one event loop.

    Args:
        seed: Choose among runnable processes at random, one message at a time, reproducibly. ``None``: in order.
        late_reply: What becomes of a reply after its caller's timeout. ``"drop"``: nothing, as since OTP 24;
            ``"deliver"``: the ``handle_info`` of the calling process gets ``(sender, value)``, as before.
        direct_calls: Let a call run the handler of an idle server inside the caller. Several times faster, but
            interleavings that the mailbox would allow no longer happen.
        clock: Seconds and timers; the loop's own by default, a ``ManualClock`` to hold time still.
        history: How many handled messages each process remembers as evidence for failure reports.
        loop: The event loop, which need not run yet; the running one by default.

    Raises:
        UsageError: An argument is out of its range.

    >>> async def main():
    ...     async with Runtime() as runtime:
    ...         pid = await Agent.start_link(1, name="one")
    ...         return runtime.names == {"one": pid}
    >>> from supertester.otp import Agent
    >>> asyncio.run(main())
    True
    """

    closing: bool = False
    """Whether everything in it is ending, so that nobody need hear of it."""
    new_table: Callable[[], dict[Any, Any]] = dict
    """Makes the table of a `Registry`."""
    process_type: type[ExploredProcess]
    """What a process becomes while the loop explores."""
    root_type: type[Root] | None = None
    explored_idleness: type[ExploredIdleness] | None = None
    """How to wait until all are idle, while the loop explores."""
    activity: dict[Process, Any] | None = None
    """The last step of each process, for loops that want to know what steps touch."""
    under_way: contextvars.Context
    """In which messages travel while the loop explores."""

    def __init__(
        self,
        *,
        seed: int | None = None,
        late_reply: Literal["drop", "deliver"] = "drop",
        direct_calls: bool = False,
        clock: Clock | None = None,
        history: int = 0,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if late_reply not in ("drop", "deliver"):
            raise UsageError(f"late_reply must be 'drop' or 'deliver', got late_reply={late_reply!r}")
        if history < 0:
            raise UsageError(f"history must be 0 or more messages, got history={history!r}")
        self.seed = seed
        self.late_reply = late_reply
        self.direct_calls = direct_calls and seed is None
        self.history = history
        self.budget = _BUDGET if seed is None else 1
        self.processes: dict[Process, None] = {}
        self.names: dict[Any, Process] = {}
        self.deaths: deque[Death] = deque(maxlen=64)
        self.doomed: set[Process] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.resisted_kills = 0
        self.late_replies = 0
        self.idle_watches: list[IdleWatch] = []
        # Nobody took over the run queue or watches for idleness, so a process may put itself on the loop.
        self.ordinary = True
        self._taken_over = False
        self.direct_turns = DIRECT_TURNS
        self.calls_left = CALLS_A_ROUND
        self.on_spawn: list[Callable[[Process], object]] = []
        self.ids = count(1)
        self.schedule: Callable[[Process], None] = self._schedule_next
        # Each a method of the receiver, and what it is told.
        self.signals: deque[tuple[Callable[[Any], object], Any]] = deque()
        self._signalling = False
        self._deadlines: deque[tuple[float, Call]] = deque()
        self._compact_at = _COMPACT_AT
        self._deadline_timer: TimerHandle | None = None
        self._clock = clock
        self._token: contextvars.Token[Process | Runtime | None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        loop = loop or asyncio._get_running_loop()
        if loop is not None:  # Else it is bound on entry, when a loop runs.
            self._bind(loop)

    # The loop ----------------------------------------------------------------------------------------------------

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = self.loop = loop
        # What the loop runs in its next round. One that does not show it may have something to run at any time.
        self.upcoming: Collection[Any] = getattr(loop, "_ready", (None,))
        self._takes_turns = takes_turns(loop)
        self.thread = get_ident()
        self.clock: Clock = self._clock or LoopClock(loop)
        self.injected_clock = self._clock is not None
        if getattr(loop, "explores", False):  # Asked once: whose loop does not explore pays nothing for those that do.
            from supertester.otp.explored import explore

            explore(self)
        elif self.seed is not None:
            from supertester.otp.scheduler import SeededScheduler

            self.take_over(SeededScheduler(self, self.seed))

    async def __aenter__(self) -> Runtime:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._bind(loop)
        elif self._loop is not loop:
            raise UsageError("this runtime belongs to another event loop; make one per loop")
        self._token = self.activate()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            self.deactivate(self._token)
            self._token = None
        await self.close()

    def activate(self, process: Process | None = None) -> contextvars.Token[Process | Runtime | None]:
        """Make this runtime, and *process* in it, current in the present context; undo with `deactivate`."""
        return current.set(process or self)

    def deactivate(self, token: contextvars.Token[Process | Runtime | None]) -> None:
        """Undo `activate`."""
        current.reset(token)

    async def close(self, timeout: float = 1.0) -> list[Pid]:
        """Kill every process and wait for their tasks; return those whose task did not end within *timeout* seconds."""
        self.closing = True
        while self.processes:
            for process in reversed(list(self.processes)):
                process.die(KILLED)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None
        self._deadlines.clear()
        tasks = self.tasks - {asyncio.current_task()}
        if not tasks:
            return []
        _, late = await asyncio.wait(tasks, timeout=timeout)
        return [pid for task in late if (pid := getattr(task, "supertester_pid", None)) is not None]

    def new_root(self, name: str = "root") -> Root:
        """Return a new process without handlers that traps exits and collects its mailbox (rule 33)."""
        from supertester.otp.root import Root

        return (self.root_type or Root)(self, name)

    def descendants(self, pid: Pid) -> list[Process]:
        """Return the live processes that *pid* started, directly or through others, oldest first."""
        return [process for process in self.processes if pid in process.ancestors()]

    # Whose turn it is --------------------------------------------------------------------------------------------

    def take_over(self, scheduler: Scheduler) -> None:
        """Let *scheduler* decide from now on which runnable process goes on; each turn handles `budget` messages."""
        self.schedule = scheduler.ready
        self._taken_over = True
        self.ordinary = False

    def _schedule_next(self, process: Process) -> None:
        try:
            if get_ident() != self.thread:
                self.loop.call_soon_threadsafe(self._schedule_next, process)
                return
            self.resume(process)
        except RuntimeError:
            if not self.loop.is_closed():
                raise
            process.scheduled = False  # The world has ended, and a cast never fails.
        if self.idle_watches:
            self.now_busy(process)

    def resume(self, process: Process) -> None:
        """Let *process* handle its next messages in a turn of its own."""
        if process.task is not None:
            process.unpark()
        elif process.server is not None and process.server._otp_needs_task:
            if self.loop.is_closed():  # `call_soon` says so too, but only once there is a task that nobody would end.
                raise RuntimeError("Event loop is closed")
            process.begin_task(None)
        elif self._takes_turns and not (self.loop._closed or self.loop._debug):  # type: ignore[attr-defined]
            self.loop._ready.append(Turn(process, self.loop))  # type: ignore[attr-defined]
        else:
            self.loop.call_soon(process.run, context=process.context)

    def watch(self, watch: IdleWatch) -> None:
        """Tell *watch* from now on who is busy and who is not."""
        self.idle_watches.append(watch)
        self.ordinary = False
        for process in watch.busy:
            process.is_watched()

    def unwatch(self, watch: IdleWatch) -> None:
        """Tell it no more."""
        self.idle_watches.remove(watch)
        self.ordinary = not self._taken_over and not self.idle_watches

    def now_busy(self, process: Process) -> None:
        """Tell whoever waits for idleness that *process* has got something to do."""
        for watch in self.idle_watches:
            watch.add(process)

    def now_resting(self, process: Process) -> None:
        """Tell whoever waits for idleness that *process* has nothing left to do."""
        for watch in list(self.idle_watches):
            watch.discard(process)

    # Signals: iterative, so that 5,000 linked processes need no stack (rule 10) -----------------------------------

    def flush_signals(self) -> None:
        """Deliver the queued `signals` in order, including those that their delivery causes."""
        if self._signalling:
            return
        self._signalling = True
        signals = self.signals
        try:
            while signals:
                receive, signal = signals.popleft()
                try:
                    receive(signal)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # Of a callback or an interceptor: never stops the rest.
                    self.loop.call_exception_handler(
                        {"message": "delivery of a process signal failed", "exception": error}
                    )
        finally:
            self._signalling = False

    # Deadlines of calls: nearly all have the same timeout, so a queue and one timer do -----------------------------

    def expect(self, call: Call, timeout: float, began: float | None = None) -> TimerHandle | None:
        """Let *call* expire *timeout* seconds after it *began*, or now; return the timer to cancel, if there is one."""
        if began is not None:
            if began + timeout <= self.clock.time():
                call.expire()
            elif timeout != float("inf"):
                return self.clock.call_at(began + timeout, call.expire)
        elif timeout == _DEFAULT_TIMEOUT:
            deadlines = self._deadlines
            while deadlines and deadlines[0][1].value is not PENDING:
                deadlines.popleft()
            if len(deadlines) > self._compact_at:  # One call that waits long must not keep all that came after it.
                deadlines = self._deadlines = deque(each for each in deadlines if each[1].value is PENDING)
                self._compact_at = max(_COMPACT_AT, 2 * len(deadlines))
            deadlines.append((self.clock.time() + timeout, call))
            if self._deadline_timer is None:
                self._deadline_timer = self.clock.call_at(deadlines[0][0], self._expire)
            return None
        elif timeout != float("inf"):
            return self.clock.call_at(self.clock.time() + timeout, call.expire)
        return None

    def _expire(self) -> None:
        self._deadline_timer = None
        now = self.clock.time() + _EARLY
        deadlines = self._deadlines
        while deadlines and (deadlines[0][1].value is not PENDING or deadlines[0][0] <= now):
            deadlines.popleft()[1].expire()
        if deadlines:
            self._deadline_timer = self.clock.call_at(deadlines[0][0], self._expire)

    # Other threads -----------------------------------------------------------------------------------------------

    def call_threadsafe(self, function: Callable[..., T], *args: Any) -> concurrent.futures.Future[T]:
        """Run ``function(*args)`` on the runtime's thread and return a future of its result.

        The way for other threads to `exit`, `register` and so on. From the runtime's own thread it runs at
        once.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args))
            except BaseException as error:
                future.set_exception(error)
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise

        if get_ident() == self.thread:
            run()
        else:
            self.loop.call_soon_threadsafe(run)
        return future

    def check_thread(self, what: str) -> None:
        """Refuse a synchronous operation from a foreign thread."""
        if get_ident() != self.thread:
            raise UsageError(f"{what} from another thread; use runtime.call_threadsafe({what}, ...)")

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self.processes))

    def __repr__(self) -> str:
        return f"<Runtime with {len(self.processes)} processes>"


def check_doomed() -> None:
    """End the code of a process that is dead already, here, at its next runtime call."""
    here = current.get()
    if here is not None and here.__class__ is not Runtime and here in here.runtime.doomed:  # type: ignore[union-attr]
        raise ProcessExited(here.exit_reason)  # type: ignore[union-attr]


def current_runtime() -> Runtime:
    """Return the runtime of the present context, or else the default one of the running event loop.

    Raises:
        UsageError: There is neither.
    """
    here = current.get()
    if here is not None:
        runtime = here if here.__class__ is Runtime else here.runtime  # type: ignore[union-attr]
        # A loop that ended took its runtime along; a context copied from there must not bring it back.
        # Nor may a thread that inherited the context work in a world that is not its own.
        if runtime.thread == get_ident() and (_running_loop() is runtime.loop or not runtime.loop.is_closed()):
            return runtime
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        stand_in = _stand_in()
        if stand_in is not None and stand_in.runtime.thread == get_ident():
            return stand_in.runtime
        raise UsageError(
            "no event loop runs in this thread; call this from a coroutine, keep the Pid instead of a name, or use "
            "runtime.call_threadsafe(...)"
        ) from None
    return default_runtime(loop)


def _stand_in() -> Process | None:
    for find in stand_ins:
        if (process := find()) is not None:
            return process
    return None


def default_runtime(loop: asyncio.AbstractEventLoop) -> Runtime:
    """Return the one default runtime of *loop*, whether it runs yet or not."""
    runtime: Runtime | None = getattr(loop, "_supertester_runtime", None)
    if runtime is None:
        runtime = Runtime(loop=loop)
        # On the loop itself, so that it lives exactly as long: a global table would keep the loop alive.
        loop._supertester_runtime = runtime  # type: ignore[attr-defined]
    return runtime


def runtime_of(pid: Pid) -> Runtime:
    """Return the runtime that *pid* lives in."""
    runtime: Runtime = pid.runtime  # type: ignore[attr-defined]
    return runtime


def acting_process(what: str) -> Process:
    """Return the process whose code runs here.

    Raises:
        UsageError: No process runs here.
        ProcessExited: It is dead already.
    """
    here = current.get() or _stand_in()
    if here is None or isinstance(here, Runtime):
        raise UsageError(
            f"{what} acts for the process whose handler runs, and none runs here; call it from a handler, or from a "
            "test of an IsolatedTestCase, whose body is a process"
        )
    if here.exit_reason is not None:
        raise ProcessExited(here.exit_reason)
    return here
