"""`chaos_kill_children`: children of a supervisor are killed at random for a while, and what came back is counted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds, pause
from supertester.chaos.chance import checked_rate
from supertester.chaos.journal import ChaosEvent, chosen_seed, note
from supertester.errors import UsageError, WaitTimeout
from supertester.otp.process import Process
from supertester.otp.reasons import KILL
from supertester.otp.refs import Reference
from supertester.otp.supervision import Child
from supertester.supervision_trace import ChildRestarted, trace_supervision_events
from supertester.targets.embedded import running_children, signal_exit
from supertester.telemetry.emission import spanned
from supertester.trees import supervisor_of, wait_for_supervisor_stabilization

__all__ = ["ChaosReport", "chaos_kill_children"]

_SETTLING = 5.0
"""Seconds that the supervisor may take after the last kill to become calm."""


@dataclass(frozen=True, kw_only=True)
class ChaosReport:
    """What `chaos_kill_children` did.

    Attributes:
        killed: How many children ended because of it; a signal that a child survived does not count.
        restarted: How many children the supervisor started again meanwhile.
        supervisor_crashed: Whether the supervisor is dead now.
        duration_ms: How long it went on, in milliseconds of the runtime's clock.
        seed: What it chose by.
        journal: Every kill, in order; give it back as ``journal=`` to make the same kills again.
    """

    killed: int
    restarted: int
    supervisor_crashed: bool
    duration_ms: float
    seed: int
    journal: tuple[ChaosEvent, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {**vars(self), "journal": [event.to_dict() for event in self.journal]}


@spanned("chaos.kill_children")
async def chaos_kill_children(
    supervisor: Reference,
    *,
    kill_rate: float = 0.3,
    duration_ms: float = 5000,
    kill_interval_ms: float = 100,
    kill_reason: Any = KILL,
    seed: int | None = None,
    journal: Iterable[ChaosEvent] | None = None,
) -> ChaosReport:
    """Kill children of *supervisor* at random, again and again, and wait until it is calm or has given up.

    Every *kill_interval_ms* a share of *kill_rate* of the running children is killed: at least one if the rate is more
    than 0, and no more than there are.

    Args:
        supervisor: The supervisor.
        kill_rate: From 0 for none to 1 for all.
        duration_ms: Milliseconds on the runtime's clock; with 0 nothing is done.
        kill_interval_ms: Milliseconds between two rounds.
        kill_reason: The exit reason of the signals. They come from no process, so a child that traps exits may survive
            any but ``KILL``.
        seed: Of the choices; by default that of the running test.
        journal: That of an earlier report, to kill the same children at the same times instead of choosing.

    Raises:
        UsageError: A value makes no sense, or the supervisor is dead, unknown, or none.
        WaitTimeout: The supervisor did not become calm within 5 s after the last kill.

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec, Supervisor
    >>> async def main():
    ...     children = [ChildSpec(name, Agent, args=(0,)) for name in "abcd"]
    ...     supervisor = await Supervisor.start_link(children, max_restarts=100)
    ...     report = await chaos_kill_children(supervisor, kill_rate=0.5, duration_ms=30, kill_interval_ms=10)
    ...     return report.killed >= 2, report.restarted == report.killed, report.supervisor_crashed
    >>> asyncio.run(main())
    (True, True, False)
    """
    process = supervisor_of(supervisor, "chaos_kill_children")
    checked_rate("kill_rate", kill_rate)
    for name, value in (("duration_ms", duration_ms), ("kill_interval_ms", kill_interval_ms)):
        checked_seconds(name, value)
    if not kill_interval_ms and duration_ms:
        raise UsageError("kill_interval_ms must be more than 0 milliseconds, got kill_interval_ms=0")
    again = None if journal is None else _checked(journal)
    chosen = chosen_seed(seed, "chaos_kill_children")
    killing = _Killing(process, kill_reason, random.Random(chosen))
    async with trace_supervision_events(process) as trace:
        if again is None:
            await killing.at_random(kill_rate, duration_ms / 1000, kill_interval_ms / 1000)
        else:
            await killing.again(again)
        duration = killing.elapsed()
        await _calm(process)
    restarts = [each for each in trace.events if isinstance(each, ChildRestarted) and each.supervisor is process]
    return ChaosReport(
        killed=sum(pid.exit_reason is not None for pid in set(killing.hit)),
        restarted=len(restarts),
        supervisor_crashed=process.exit_reason is not None,
        duration_ms=duration * 1000,
        seed=chosen,
        journal=tuple(killing.journal),
    )


def _checked(journal: Iterable[ChaosEvent]) -> list[ChaosEvent]:
    events = list(journal)
    for event in events:
        if getattr(event, "fault", None) != "kill_children":
            raise UsageError(f"journal= takes the journal of an earlier report of chaos_kill_children, got {event!r}")
    return events


class _Killing:
    """The kills of one run."""

    def __init__(self, supervisor: Process, reason: Any, choice: random.Random) -> None:
        self._supervisor = supervisor
        self._reason = reason
        self._random = choice
        self._clock = supervisor.runtime.clock
        self._began = self._clock.time()
        self.hit: list[Process] = []
        self.journal: list[ChaosEvent] = []

    def elapsed(self) -> float:
        return self._clock.time() - self._began

    async def at_random(self, rate: float, duration: float, interval: float) -> None:
        number = 0
        while number * interval < duration and self._supervisor.exit_reason is None:
            running = list(running_children(self._supervisor))
            count = min(max(int(len(running) * rate + 1e-9), 1), len(running)) if rate else 0
            for position in sorted(self._random.sample(range(len(running)), count)):
                self._kill(number, position, *running[position])
            number += 1
            await self._until(min(number * interval, duration))

    async def again(self, journal: list[ChaosEvent]) -> None:
        for number, group in itertools.groupby(journal, key=lambda event: event.details["round"]):
            events = list(group)
            await self._until(events[0].at_ms / 1000)
            # A position is one among those that ran when its round began.
            running = list(running_children(self._supervisor))
            for position in (event.details["position"] for event in events):
                if position < len(running):
                    self._kill(number, position, *running[position])

    async def _until(self, elapsed: float) -> None:
        left = elapsed - self.elapsed()
        if left > 0:
            await pause(self._clock, left)

    def _kill(self, number: int, position: int, child: Child, process: Process) -> None:
        details = {"round": number, "id": shown(child.spec.id), "position": position, "reason": shown(self._reason)}
        at_ms = self.elapsed() * 1000
        self.journal.append(ChaosEvent(fault="kill_children", target=process, at_ms=at_ms, details=details))
        note("kill_children", process, details)
        self.hit.append(process)
        signal_exit(process, self._reason)


async def _calm(process: Process) -> None:
    try:
        await wait_for_supervisor_stabilization(process, _SETTLING)
    except (WaitTimeout, UsageError):
        if process.exit_reason is None:
            raise
