"""What supervisors do, as it happens: every start, end and restart of a child, in order and with the true reason."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, Self

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds
from supertester.errors import CallExit, WaitTimeout
from supertester.otp import supervisor as otp
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import Reference
from supertester.otp.supervision import BaseSupervisor, SupervisionEvent
from supertester.trees import supervisor_of

__all__ = [
    "ChildRestarted",
    "ChildStarted",
    "ChildTerminated",
    "LimitExceeded",
    "SupervisionTrace",
    "TraceEvent",
    "trace_supervision_events",
]


@dataclass(frozen=True, kw_only=True)
class TraceEvent:
    """Something that happened under a supervisor.

    Attributes:
        id: The child's id in its spec.
        pid: The process concerned.
        reason: The true exit reason of what ended, ``None`` where nothing did.
        at: When, in seconds of the runtime's clock.
        supervisor: Whose child it is.
    """

    id: Any
    pid: Pid | None
    reason: Any = None
    at: float
    supervisor: Pid

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: pids and reasons as text."""
        plain = (str, int, float, type(None))
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        shown_values = {name: value if isinstance(value, plain) else shown(value) for name, value in values.items()}
        return {"event": type(self).__name__, **shown_values}


@dataclass(frozen=True, kw_only=True)
class ChildStarted(TraceEvent):
    """A child began to run, not as the successor of another process."""

    def __str__(self) -> str:
        return f"{self.at:.6f} {self.supervisor!r}: {self.id!r} started as {self.pid!r}"


@dataclass(frozen=True, kw_only=True)
class ChildTerminated(TraceEvent):
    """A child ended, by itself or because the supervisor ended it."""

    def __str__(self) -> str:
        return f"{self.at:.6f} {self.supervisor!r}: {self.id!r} terminated, {self.pid!r} with {shown(self.reason)}"


@dataclass(frozen=True, kw_only=True)
class ChildRestarted(TraceEvent):
    """A child began to run again: *pid* succeeds *old_pid*, which had ended with *reason*."""

    old_pid: Pid | None = None

    def __str__(self) -> str:
        return (
            f"{self.at:.6f} {self.supervisor!r}: {self.id!r} restarted as {self.pid!r}, "
            f"after {self.old_pid!r} ended with {shown(self.reason)}"
        )


@dataclass(frozen=True, kw_only=True)
class LimitExceeded(TraceEvent):
    """A supervisor gave up, because restarts came too often; *pid* is the supervisor itself."""

    def __str__(self) -> str:
        return f"{self.at:.6f} {self.supervisor!r}: the limit of restarts is exceeded, it gives up"


@dataclass(eq=False)
class SupervisionTrace:
    """A subscription to what happens under one supervisor and under the supervisors below it; await it to begin."""

    reference: Reference
    events: list[TraceEvent] = field(default_factory=list)
    """What has happened so far, oldest first; stays when the trace has ended."""
    _top: Process | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if self._top is None:
            self._top = supervisor_of(self.reference, "trace_supervision_events")
            for server in _supervisors(self._top):
                server.listeners.append(self._happened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.stop()
        else:
            self._unsubscribe()

    async def stop(self, timeout: float = 5.0) -> list[TraceEvent]:
        """End the trace and return its events; again, return the same ones.

        First all supervisors get through what has reached them, so that no end is missing which came before this.

        Args:
            timeout: Seconds that they may take for it.

        Raises:
            WaitTimeout: One did not; what has happened is in `events`.
        """
        checked_seconds("timeout", timeout)
        try:
            if self._top is not None:
                await self._settle(self._top, timeout)
        finally:
            self._unsubscribe()
        return list(self.events)

    async def _settle(self, supervisor: Process, timeout: float) -> None:
        for server in _supervisors(supervisor):
            try:
                await otp.which_children(server.pid, timeout)
            except CallExit as error:
                if server.pid.exit_reason is None:
                    raise WaitTimeout(
                        f"{server.pid!r} did not get through its messages within {timeout:g} s ({error.reason!r}), so "
                        "the trace may lack its last events"
                    ) from error

    def _happened(self, event: SupervisionEvent) -> None:
        self.events.append(_traced(event))

    def _unsubscribe(self) -> None:
        top, self._top = self._top, None
        if top is not None:
            for process in [top, *top.runtime.processes]:
                if isinstance(process.server, BaseSupervisor) and self._happened in process.server.listeners:
                    process.server.listeners.remove(self._happened)


def _supervisors(top: Process) -> list[BaseSupervisor]:
    """Return the servers of *top* and the supervisors below it, but those that have yet to hear who listens above."""
    servers: list[Any] = [process.server for process in top.runtime.processes if _is_below(process, top)]
    return [server for server in servers if hasattr(server, "listeners")]


def _is_below(process: Process | None, top: Process) -> bool:
    while process is not None and isinstance(process.server, BaseSupervisor):
        if process is top:
            return True
        process = process.parent
    return False


def _traced(event: SupervisionEvent) -> TraceEvent:
    common: dict[str, Any] = {"id": event.id, "pid": event.pid, "at": event.at, "supervisor": event.supervisor}
    match event.kind:
        case "started":
            return ChildStarted(**common)
        case "restarted":
            old = event.old_pid
            return ChildRestarted(**common, old_pid=old, reason=old.exit_reason if old is not None else None)
        case "limit_exceeded":
            return LimitExceeded(**common, reason=event.reason)
        case _:
            return ChildTerminated(**common, reason=event.reason)


def trace_supervision_events(supervisor: Reference) -> SupervisionTrace:
    """Trace what happens to the children of *supervisor*, and of the supervisors below it.

    ``async with trace_supervision_events(sup) as trace`` traces the body; ``trace = await
    trace_supervision_events(sup)`` traces until ``await trace.stop()``. Supervisors that start below it meanwhile are
    traced too. The events are `ChildStarted`, `ChildTerminated`, `ChildRestarted` and `LimitExceeded`.

    Raises:
        UsageError: When it begins: *supervisor* is dead, unknown, or no supervisor.

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec, KILL, Supervisor, until_idle, whereis
    >>> async def main():
    ...     supervisor = await Supervisor.start_link([ChildSpec("store", Agent, args=(0,), kwargs={"name": "store"})])
    ...     async with trace_supervision_events(supervisor) as trace:
    ...         whereis("store").exit(KILL)
    ...     return [(type(event).__name__, event.id, event.reason) for event in trace.events]
    >>> asyncio.run(main())
    [('ChildTerminated', 'store', KILLED), ('ChildRestarted', 'store', KILLED)]
    """
    return SupervisionTrace(supervisor)
