"""Probing servers: many calls at once, random operations, crashes, and messages that they should refuse."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from supertester._core.evidence import timed_out
from supertester._core.outcome import Outcome
from supertester._core.seeds import run_seed
from supertester._core.waiting import checked_seconds, wait_until
from supertester.context import current_context
from supertester.errors import CallExit, UsageError, WaitTimeout
from supertester.otp import sys
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing, resolve
from supertester.otp.supervision import BaseSupervisor
from supertester.processes import listening, started_and_responsive, wait_for_process_death
from supertester.server_talk import call_with_timeout

__all__ = [
    "CallResults",
    "CrashRecovery",
    "InvalidMessages",
    "StressReport",
    "concurrent_calls",
    "probe_crash_recovery",
    "probe_invalid_messages",
    "stress_test_server",
]

_CASTS_AHEAD: Final = 32
"""Casts that a worker of a stress test sends before it waits for the server."""
_STRESS_CALL: Final = 0.1
"""Seconds that a call of a stress test may take."""


# Load ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallResults:
    """What came of the calls of one request by `concurrent_calls`: replies, and reasons of those that failed."""

    call: Any
    successes: tuple[Any, ...]
    errors: tuple[Any, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "call": repr(self.call),
            "successes": [repr(value) for value in self.successes],
            "errors": [repr(error) for error in self.errors],
        }


async def concurrent_calls(
    server: Reference, calls: Iterable[Any], count: int = 10, *, timeout: float = 5.0
) -> list[CallResults]:
    """Make each of *calls* *count* times, all at once, starting together from a barrier.

    Returns:
        What came of each distinct call, in the order of *calls*; the results in the order of the callers.

    Raises:
        UsageError: *calls* is empty, or *count* is less than 1.
    """
    requests = _listed("calls", calls)
    _at_least_one("count", count)
    checked_seconds("timeout", timeout)
    barrier = asyncio.Barrier(len(requests) * count)

    async def caller(request: Any) -> Outcome[Any]:
        await barrier.wait()
        return await call_with_timeout(server, request, timeout)

    async with asyncio.TaskGroup() as group:
        tasks = [(request, group.create_task(caller(request))) for request in requests for _ in range(count)]
    distinct: list[Any] = []
    for request in requests:
        if request not in distinct:
            distinct.append(request)
    return [_results_of(request, [task.result() for made, task in tasks if made == request]) for request in distinct]


def _results_of(request: Any, outcomes: list[Outcome[Any]]) -> CallResults:
    return CallResults(
        request,
        tuple(outcome.value for outcome in outcomes if outcome.ok),
        tuple(outcome.error for outcome in outcomes if not outcome.ok),
    )


@dataclass(frozen=True)
class StressReport:
    """What `stress_test_server` did: answered calls, casts, and what failed; the seed repeats its choices."""

    calls: int
    casts: int
    errors: int
    duration_ms: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return dict(vars(self))


async def stress_test_server(
    server: Reference,
    operations: Iterable[tuple[str, Any]],
    duration_ms: float = 5000,
    *,
    workers: int = 5,
    seed: int | None = None,
) -> StressReport:
    """Let several workers send random *operations* to *server* until the time is up, and wait until it has done them.

    Args:
        server: The server. A name stands for whoever has it at the time, so restarts are survived.
        operations: ``("call", request)`` and ``("cast", message)``, each as likely as the others.
        duration_ms: Milliseconds on the runtime's clock.
        workers: How many work at the same time.
        seed: Of the choices; by default that of the running test.

    Raises:
        UsageError: A value makes no sense, or the server is dead or unknown from the start.
    """
    chosen = _listed("operations", operations)
    for operation in chosen:
        if not (isinstance(operation, tuple) and len(operation) == 2 and operation[0] in ("call", "cast")):
            raise UsageError(f'an operation must be ("call", request) or ("cast", message), got {operation!r}')
    _at_least_one("workers", workers)
    checked_seconds("duration_ms", duration_ms)
    if seed is None:
        context = current_context.get()
        seed = context.seed if context is not None else run_seed()
    process = existing(server, "stress_test_server")
    clock = process.runtime.clock
    start = clock.time()
    stress = _Stress(server, chosen, start + duration_ms / 1000, clock.time)
    async with asyncio.TaskGroup() as group:
        for worker in range(workers):
            group.create_task(stress.work(random.Random(f"{seed}:{worker}")))
    return StressReport(stress.calls, stress.casts, stress.errors, (clock.time() - start) * 1000, seed)


class _Stress:
    """The workers of a stress test and what they counted."""

    def __init__(self, server: Any, operations: list[Any], deadline: float, now: Callable[[], float]) -> None:
        self._server = server
        self._operations = operations
        self._deadline = deadline
        self._now = now
        self.calls = self.casts = self.errors = 0

    async def work(self, choices: random.Random) -> None:
        ahead = 0
        while self._now() < self._deadline:
            kind, message = choices.choice(self._operations)
            process = resolve(self._server)
            if process is None or not process.is_alive():
                self.errors += 1
                if process is not None and isinstance(self._server, Pid):
                    return  # Dead for ever.
            elif kind == "call":
                await self._call(process, message)
            else:
                process.cast(message)
                self.casts += 1
                ahead += 1
                if ahead == _CASTS_AHEAD:
                    ahead = 0
                    await self._catch_up()
            await asyncio.sleep(0)
        await self._catch_up()

    async def _call(self, process: Process, request: Any) -> None:
        try:
            await process.call(request, _STRESS_CALL)
        except CallExit:
            self.errors += 1
        else:
            self.calls += 1

    async def _catch_up(self) -> None:
        """Let the server handle what was cast, or the mailbox would grow without end."""
        process = resolve(self._server)
        if process is not None and process.is_alive():
            try:
                await sys.sync(process)
            except CallExit:
                self.errors += 1


# Probes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrashRecovery:
    """What became of a server that was made to crash; ``crash_reason`` is the exit reason that was seen."""

    recovered: bool
    original_pid: Pid
    new_pid: Pid | None
    crash_reason: Any
    recovery_ms: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "recovered": self.recovered,
            "original_pid": repr(self.original_pid),
            "new_pid": None if self.new_pid is None else repr(self.new_pid),
            "crash_reason": repr(self.crash_reason),
            "recovery_ms": self.recovery_ms,
        }


async def probe_crash_recovery(server: Reference, reason: Any, *, timeout: float = 5.0) -> CrashRecovery:
    """Send *server* the exit signal *reason* and see whether another process takes its place and answers.

    The successor is who has its name next; of a supervised child without a name, what its supervisor runs in its place.

    Args:
        server: The server.
        reason: The exit signal.
        timeout: Seconds on the runtime's clock for the death, and again for the recovery.

    Raises:
        WaitTimeout: It did not die: it traps exits, or the reason is `NORMAL`.
        UsageError: It is dead or unknown.
    """
    checked_seconds("timeout", timeout)
    original = existing(server, "probe_crash_recovery")
    clock = original.runtime.clock
    successor = _successor_of(server, original)
    with listening(original.runtime) as bell:

        async def look() -> Process | None:
            process = resolve(successor)
            if process is None or process is original or not process.is_alive():
                return None
            return process if await started_and_responsive(process, bell) else None

        original.exit(reason)
        await _died(original, reason, timeout)
        died = clock.time()
        crash_reason = original.exit_reason
        if successor is None:
            return CrashRecovery(False, original, None, crash_reason, None)  # noqa: FBT003 - a field
        try:
            new = await wait_until(look, "recovery", timeout=timeout, clock=clock, bell=bell)
        except WaitTimeout:
            return CrashRecovery(False, original, None, crash_reason, None)  # noqa: FBT003 - a field
    return CrashRecovery(True, original, new, crash_reason, (clock.time() - died) * 1000)  # noqa: FBT003 - a field


async def _died(process: Process, reason: Any, timeout: float) -> None:
    if process.is_alive():
        # One that traps exits has the signal in its mailbox now: after a barrier it is dead, or will go on.
        with contextlib.suppress(CallExit):
            await sys.sync(process, timeout)
        if process.is_alive():
            message = f"{process!r} did not die of {reason!r}; it traps exits, or ignores that reason"
            raise timed_out(message, process)
    await wait_for_process_death(process, timeout)


def _successor_of(server: Any, process: Process) -> Any:
    """Return a reference to whoever will take the place of *process*, or ``None`` if nobody can."""
    if not isinstance(server, Pid):
        return server
    if process.name is not None:
        return process.name
    supervisor = process.parent.server if process.parent is not None else None
    child = supervisor.by_pid.get(process) if isinstance(supervisor, BaseSupervisor) else None
    return None if child is None else lambda: child.process


@dataclass(frozen=True)
class InvalidMessages:
    """What came of messages that a server should refuse: each with its outcome, and whether the server survived."""

    results: tuple[tuple[Any, Outcome[Any]], ...]
    survived: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        results = [{"message": repr(message), **outcome.to_dict()} for message, outcome in self.results]
        return {"results": results, "survived": self.survived}


async def probe_invalid_messages(
    server: Reference, messages: Iterable[Any], *, timeout: float = 1.0
) -> InvalidMessages:
    """Call *server* with each of *messages*, in order, and see whether it survives.

    Raises:
        UsageError: *messages* is empty, or the server is dead or unknown.
    """
    listed = _listed("messages", messages)
    checked_seconds("timeout", timeout)
    process = existing(server, "probe_invalid_messages")
    results = [(message, await call_with_timeout(server, message, timeout)) for message in listed]
    return InvalidMessages(tuple(results), process.is_alive())


# Arguments -----------------------------------------------------------------------------------------------------------


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list, got {name}={values!r}")
    listed = list(values)
    if not listed:
        raise UsageError(f"{name} must hold at least one, got {name}={values!r}")
    return listed


def _at_least_one(name: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} must be an integer, got {name}={number!r}")
    if number < 1:
        raise UsageError(f"{name} must be at least 1, got {name}={number!r}")
