"""What `Supervisor` and `DynamicSupervisor` have in common: starting and stopping children, counting restarts."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit, StartFailed, UsageError
from supertester.otp.child_spec import ChildSpec, SupervisorSpec
from supertester.otp.drive import PAUSE, wake
from supertester.otp.genserver import GenServer, spawn, wait_started
from supertester.otp.messages import Exit
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import BRUTAL_KILL, INFINITY, KILL, NOPROC, SHUTDOWN, Crash, Shutdown, is_normal
from supertester.otp.refs import existing, resolve
from supertester.otp.results import IGNORE, Stop
from supertester.otp.runtime import acting_process

__all__ = [
    "BaseSupervisor",
    "Child",
    "ChildInfo",
    "Intensity",
    "SupervisionEvent",
    "TryAgain",
    "ask",
    "failed_child",
    "is_to_restart",
    "server_of",
]


class ChildInfo(NamedTuple):
    """A row of `which_children`; *pid* is ``"undefined"`` or ``"restarting"`` for a child without a process."""

    id: Any
    pid: Pid | str
    type: str
    modules: Any


@dataclass(frozen=True, slots=True)
class SupervisionEvent:
    """Something that happened to a child.

    ``kind`` is ``"started"``, ``"terminated"``, ``"restarted"`` or ``"limit_exceeded"``. ``pid`` is the process
    concerned (for a restart the new one, with the old one in ``old_pid``), ``reason`` the true exit reason of one that
    ended, ``at`` the runtime's time in seconds.
    """

    kind: str
    supervisor: Pid
    id: Any
    pid: Pid | None
    reason: Any
    at: float
    old_pid: Pid | None = None


class Child:
    """A child of a running supervisor."""

    __slots__ = ("last", "pid", "spec")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.pid: Process | str = "undefined"
        self.last: Process | None = None

    @property
    def process(self) -> Process | None:
        """The process, if there is one."""
        return self.pid if isinstance(self.pid, Process) else None

    def info(self) -> ChildInfo:
        """Return the row of `which_children`."""
        assert self.spec.type is not None
        return ChildInfo(self.spec.id, self.pid, self.spec.type, self.spec.modules)


def is_to_restart(spec: ChildSpec, reason: Any) -> bool:
    """Say whether a child that ended with *reason* is started again (rule 23)."""
    return spec.restart == "permanent" or (spec.restart == "transient" and not is_normal(reason))


class Intensity:
    """How often restarts may happen: more than *max_restarts* within *max_seconds* is too often (rule 25)."""

    __slots__ = ("_times", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Count one restart at time *now* and say whether it is still allowed."""
        times = self._times
        times.append(now)
        if times[0] < now - self.max_seconds:
            self._forget(now)
        return len(times) <= self.max_restarts

    def left(self, now: float) -> int:
        """Return how many restarts would be allowed at time *now*."""
        self._forget(now)
        return max(0, self.max_restarts - len(self._times))

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] < now - self.max_seconds:
            self._times.popleft()


class TryAgain(NamedTuple):
    """A supervisor's message to itself: the start of this child failed, try once more."""

    child: Child


class BaseSupervisor(GenServer):
    """A server that traps exits, owns children, and answers requests made of functions."""

    _otp_supervises: ClassVar[bool] = True
    _otp_steps_eagerly: ClassVar[bool] = True

    spec: SupervisorSpec
    intensity: Intensity
    by_pid: dict[Process, Child]
    listeners: list[Callable[[SupervisionEvent], object]]
    pid: Process

    async def _otp_enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.pid = acting_process("init")
        self.pid.trap_exit = True
        above = self.pid.parent.server if self.pid.parent is not None else None
        # Who listens to a supervisor hears of those below it too, from their first child on.
        self.listeners = list(above.listeners) if isinstance(above, BaseSupervisor) else []
        self.by_pid = {}
        result = self.init(*args, **kwargs)
        if inspect.isawaitable(result):
            result = await in_task(result)
        if result is IGNORE or isinstance(result, Stop):
            return result
        if not isinstance(result, SupervisorSpec):
            return Stop(("bad_return", (type(self), "init", result)))
        self.spec = result
        self.intensity = Intensity(result.max_restarts, result.max_seconds)
        return await self.begin(result)

    async def begin(self, spec: SupervisorSpec) -> Any:
        """Start the first children; return the state or a ``Stop``."""
        raise TypeError(f"{type(self).__qualname__} must subclass Supervisor or DynamicSupervisor")

    # Requests ----------------------------------------------------------------------------------------------------

    async def handle_call(self, request: Any, sender: Any) -> Any:
        if not isinstance(request, Request):
            return super().handle_call(request, sender)
        try:
            function = getattr(self, f"do_{request.name}", None)
            if function is None:
                raise UsageError(f"a {type(self).__qualname__} has no {request.name}()")
            result = function(*request.args)
            return Answer(await result if inspect.isawaitable(result) else result, None)
        except (UsageError, TypeError, StartFailed) as error:  # A refusal belongs to whoever asked.
            return Answer(None, error)

    def do_get_strategy(self) -> str:
        return self.spec.strategy

    # A child has ended -------------------------------------------------------------------------------------------

    async def handle_info(self, message: Any) -> Any:
        result = None
        if isinstance(message, Exit):
            result = self._otp_child_ended(message)
        elif isinstance(message, TryAgain) and message.child.pid == "restarting" and self._has(message.child):
            result = self._restart(message.child)
        return await result if result.__class__ is CoroutineType else result

    def _otp_child_ended(self, message: Exit) -> Any:
        """Do what the end of a child asks for; what takes time is in the coroutine that is returned then."""
        child = self.by_pid.pop(message.pid, None)  # type: ignore[call-overload]
        if child is None:
            return None
        if self.listeners:
            self.report("terminated", child.spec.id, child.process, message.reason)
        spec = child.spec
        if spec.restart == "permanent" or is_to_restart(spec, message.reason):
            return self._restart(child)
        return self._let_go(child)

    def _restart(self, child: Child) -> Any:
        """Start *child* again, and whom else the strategy says, unless that came too often."""
        child.pid = "undefined"
        if not self.intensity.allows(self.pid.runtime.clock.time()):
            return self.gave_up()
        if self.spec.strategy == "one_for_one":  # Without a look at the table of all children, which may be long.
            return self._start_anew(child)
        return self._start_affected(child)

    def _start_affected(self, child: Child) -> Coroutine[Any, Any, None] | None:
        """Start *child* again, and whom it takes along."""
        return self._start_anew(child)

    def _start_anew(self, child: Child) -> Coroutine[Any, Any, None] | None:
        """Start *child* again; return a coroutine for what is left to do, if its start takes time."""
        try:
            started = self._launch(child.spec)
            if started.__class__ is CoroutineType:
                return self._start_anew_in_time(child, started)
            self._enter(child, started, "restarted")
        except StartFailed:
            self.try_again(child)
        return None

    async def _start_anew_in_time(self, child: Child, start: Coroutine[Any, Any, Any]) -> None:
        try:
            started = self._enter(child, await start, "restarted")
        except StartFailed:
            self.try_again(child)
        else:
            if started is None:
                self._not_started(child)

    def try_again(self, child: Child) -> None:
        """Start *child*, whose restart has failed, after what others have asked for meanwhile (rule 26)."""
        child.pid = "restarting"
        self.pid.send(TryAgain(child))

    if TYPE_CHECKING:

        def _has(self, child: Child) -> bool:
            """Say whether *child* is among the children."""

        def _let_go(self, child: Child) -> Stop | None:
            """Go on without *child*, which is not to be restarted."""

        def _not_started(self, child: Child) -> None:
            """Take note that *child* chose not to run."""

    # Children ----------------------------------------------------------------------------------------------------

    async def start_process(self, child: Child, *, restart: bool = False) -> Process | None:
        """Start *child*; return its process, or ``None`` if it chose not to run.

        Raises:
            StartFailed: It did not start; ``reason`` is the child's own.
        """
        started = self._launch(child.spec)
        if started.__class__ is CoroutineType:
            started = await started
        return self._enter(child, started, "restarted" if restart else "started")

    def _launch(self, spec: ChildSpec) -> Any:
        """Return the process of a new start, or a coroutine that returns it when it has started."""
        if not spec.is_server:
            return self._start_by_function(spec)
        server: Any = spec.start
        args, kwargs, name, timeout = spec.server_start
        try:
            if timeout is not None:
                checked_timeout(timeout)
            process = spawn(self.pid.runtime, server, args, kwargs, name, self.pid, self.pid)
        except (UsageError, TypeError) as error:
            raise StartFailed(Crash(error), module=server) from error
        return process if process.exit_reason is None and process.started is None else wait_started(process, timeout)

    def _enter(self, child: Child, started: Any, what: str) -> Process | None:
        """Take *started* for the process of *child*, and tell the listeners *what* it is."""
        if started is IGNORE:
            child.pid = "undefined"
            return None
        old = child.last
        if started is old:
            raise StartFailed(("already_started", started), module=child.spec.start)
        child.pid = child.last = started
        self.by_pid[started] = child
        if self.listeners:
            self.report(what, child.spec.id, started, old=old if what == "restarted" else None)
        return started  # type: ignore[no-any-return]

    async def _start_by_function(self, spec: ChildSpec) -> Any:
        try:
            started = spec.start(*spec.args, **spec.kwargs)
            if inspect.isawaitable(started):
                started = await in_task(started)
            if isinstance(started, Process) and started in self.by_pid:
                raise StartFailed(("already_started", started), module=spec.start)
        except StartFailed:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if self.pid.is_ending():
                raise
            raise StartFailed(Crash(error), module=spec.start) from error
        if started is not IGNORE and not isinstance(started, Process):
            raise StartFailed(("bad_return_value", started), module=spec.start)
        if isinstance(started, Process) and started.parent is not self.pid:
            # The function used `start`; without a link the supervisor would never hear of the end.
            if started.exit_reason is not None:
                raise StartFailed(started.exit_reason, module=spec.start)
            self.pid.link(started)
            started.parent = self.pid
        return started

    async def stop_process(self, process: Process, spec: ChildSpec, asked_at: float | None = None) -> Any:
        """End one child as its spec says and return its exit reason (rule 27); it stays linked until it is dead.

        *asked_at* is when it was asked to end, if that has been done already.
        """
        if asked_at is None:
            process.exit(KILL if spec.shutdown == BRUTAL_KILL else SHUTDOWN)
        if process.exit_reason is None:
            passed = 0.0 if asked_at is None else self.pid.runtime.clock.time() - asked_at
            if spec.shutdown > passed:
                await self._wait_dead(process, spec.shutdown - passed)
            process.exit(KILL)
        self.pid.unlink(process)
        self.by_pid.pop(process, None)
        self.report("terminated", spec.id, process, process.exit_reason)
        return process.exit_reason

    async def _wait_dead(self, process: Process, timeout: float) -> None:
        runtime = self.pid.runtime
        ended = runtime.loop.create_future()
        forget = process.on_exit(lambda _: wake(ended))
        timer = None
        if timeout != INFINITY:
            clock = runtime.clock
            timer = clock.call_at(clock.time() + timeout, wake, ended)
        try:
            await ended
        finally:
            forget()
            if timer is not None:
                timer.cancel()

    # Evidence ----------------------------------------------------------------------------------------------------

    def report(self, kind: str, id: Any, pid: Process | None, reason: Any = None, old: Process | None = None) -> None:
        """Tell the listeners what has happened."""
        if self.listeners:
            event = SupervisionEvent(kind, self.pid, id, pid, reason, self.pid.runtime.clock.time(), old)
            for listener in tuple(self.listeners):
                listener(event)

    def gave_up(self) -> Stop:
        """End because restarts came too often."""
        self.report("limit_exceeded", None, self.pid, SHUTDOWN)
        return Stop(SHUTDOWN)


class Request(NamedTuple):
    """What the functions on supervisors send: the ``do_`` method to run inside the supervisor, and its arguments."""

    name: str
    args: tuple[Any, ...]


class Answer(NamedTuple):
    """The result of a `Request`, or the exception that refuses it."""

    value: Any
    error: Exception | None


async def in_task(awaitable: Any) -> Any:
    """Await what a user gave, in a real task: task groups and timeouts in it need one.

    The first step of a supervisor's handler runs without a task; pausing once makes the process go on in one.
    """
    if acting_process("a child's start").task is None:
        try:
            await PAUSE
        except BaseException:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
    return await awaitable


async def ask(supervisor: Any, name: str, *args: Any, timeout: float = INFINITY) -> Any:
    """Let *supervisor* carry out the request *name* and return the result, or raise its refusal."""
    process = resolve(supervisor)
    if process is not None and process.exit_reason is None and not isinstance(process.server, BaseSupervisor):
        raise UsageError(f"{name}: {process!r} is no supervisor")
    if process is None:
        raise CallExit(NOPROC, (name, supervisor, args, timeout))
    answer: Answer = await process.call(Request(name, args), timeout)
    if answer.error is not None:
        raise answer.error
    return answer.value


def server_of(supervisor: Any, what: str) -> BaseSupervisor:
    """Return the server object of a live supervisor, to read from."""
    server = existing(supervisor, what).server
    if not isinstance(server, BaseSupervisor):
        raise UsageError(f"{what}: {supervisor!r} is no supervisor")
    return server


def failed_child(id: Any, reason: Any) -> Shutdown:
    """Return the reason of a supervisor whose child *id* did not start."""
    return Shutdown(("failed_to_start_child", id, reason))
