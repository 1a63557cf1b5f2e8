"""Whether a system gets over chaos."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown, with_history
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.waiting import checked_seconds, wait_until
from supertester.chaos.journal import ChaosEvent, journaled
from supertester.errors import UsageError, WaitTimeout
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import Reference
from supertester.otp.runtime import current_runtime
from supertester.processes import listening
from supertester.targets.adapting import referred
from supertester.targets.embedded import EmbeddedTarget
from supertester.targets.os_process import ProcessTarget
from supertester.targets.target import Target
from supertester.telemetry.emission import spanned

__all__ = ["Resilience", "probe_chaos_resilience"]


@dataclass(frozen=True, kw_only=True)
class Resilience:
    """How a system got over chaos.

    Attributes:
        recovered: Whether it was well again in time.
        recovery_ms: Milliseconds from the end of the chaos to that, or ``None``.
        faults: What was delivered, in order.
        deaths: What ended meanwhile: processes of the runtime, and the system and its workers if it is another kind.
        result: What the chaos function returned.
        mismatch: What to say where it is not resilient, or ``None``.
    """

    recovered: bool
    recovery_ms: float | None
    faults: tuple[ChaosEvent, ...]
    deaths: tuple[Pid | Target, ...]
    result: Any
    mismatch: Mismatch | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "recovered": self.recovered,
            "recovery_ms": self.recovery_ms,
            "faults": [event.to_dict() for event in self.faults],
            "deaths": [repr(pid) for pid in self.deaths],
            "result": shown(self.result),
            "mismatch": None if self.mismatch is None else self.mismatch.to_dict(),
        }


@spanned("chaos.resilience")
async def probe_chaos_resilience(
    system: Reference | Target,
    chaos_fn: Callable[[], Any],
    recovery_fn: Callable[[], Any],
    *,
    timeout: float = 5.0,
    steady_state: Callable[[], Any] | None = None,
    require_fault: bool = True,
) -> Resilience:
    """Let chaos loose on *system*, and see whether it recovers in time.

    The shape is that of a chaos experiment: a hypothesis about the steady state, a method, and the hypothesis again.

    Args:
        system: A process of it: its last messages are shown when it does not recover. A name stands for whoever has it.
            Or what else `supertester.targets.target_of` makes a target of.
        chaos_fn: What delivers the faults, plain or async.
        recovery_fn: Says whether the system is well again, plain or async; it is asked at least once.
        timeout: Seconds for the recovery, counted from the end of the chaos.
        steady_state: Must hold before the chaos and after the recovery; by default nothing is asked before.
        require_fault: Whether chaos that hit nobody is a failure: no injector delivered a fault and no process ended.

    Raises:
        UsageError: *system* is unknown or dead before it begins.

    Exceptions of the functions are raised.
    """
    checked_seconds("timeout", timeout)
    process = _alive(system)
    if process is None:
        raise UsageError(f"assert_chaos_resilient: {describe(system)} is not alive, so there is nothing to try")
    if steady_state is not None and not await _value(steady_state):
        return _failed(f"{process!r} was not in its steady state before the chaos: {describe(steady_state)} is false")
    runtime = current_runtime() if isinstance(process, Target) else process.runtime
    before: list[Pid | Target] = [*runtime.processes, *_parts(process)]
    with journaled() as journal:
        result = await _value(chaos_fn)
    began = runtime.clock.time()
    waiting = await _recovered(recovery_fn, steady_state, timeout)
    deaths = tuple(each for each in before if each.exit_reason is not None)
    faults = tuple(journal.events)
    mismatch: Mismatch | None = None
    if waiting is not None:
        now = _alive(system)
        state = "dead" if now is None else "alive"
        message = f"{describe(system)}, {state}, failed to recover from chaos within {timeout:g} s: {waiting}"
        shown_with = now or process
        mismatch = Mismatch(message if isinstance(shown_with, Target) else with_history(message, shown_with), faults)
    elif require_fault and not faults and not deaths:
        mismatch = Mismatch(
            f"the chaos of {describe(chaos_fn)} hit nobody: no injector delivered a fault and no process ended. That "
            "the system is well shows nothing then; require_fault=False if that is meant"
        )
    return Resilience(
        recovered=waiting is None,
        recovery_ms=(runtime.clock.time() - began) * 1000 if waiting is None else None,
        faults=faults,
        deaths=deaths,
        result=result,
        mismatch=mismatch,
    )


def _parts(system: Process | Target) -> list[Target]:
    """Return what of a system that is no process of the runtime can end: itself, and what it has started."""
    if not isinstance(system, Target) or isinstance(system, EmbeddedTarget):
        return []
    return [system, *(system.workers() if isinstance(system, ProcessTarget) else ())]


def _alive(system: Any) -> Process | Target | None:
    process = referred(system)
    return None if process is None or process.exit_reason is not None else process


def _failed(message: str) -> Resilience:
    return Resilience(recovered=False, recovery_ms=None, faults=(), deaths=(), result=None, mismatch=Mismatch(message))


async def _value(function: Callable[[], Any]) -> Any:
    result = function()
    return await result if inspect.isawaitable(result) else result


async def _recovered(recovery: Callable[[], Any], steady: Callable[[], Any] | None, timeout: float) -> str | None:
    """Wait until the system is well; return what was last seen if it is not."""
    runtime = current_runtime()
    last: list[Any] = []

    async def look() -> bool:
        for function in filter(None, (recovery, steady)):
            value = await _value(function)
            last[:] = [function, value]
            if not value:
                return False
        return True

    def seen() -> str:
        return f"{describe(last[0])} gave {shown(last[1])}" if last else "nothing"

    try:
        with listening(runtime) as bell:
            await wait_until(look, "recovery", timeout=timeout, clock=runtime.clock, seen=seen, bell=bell)
    except WaitTimeout:
        return seen()
    return None
