"""The entries of a chaos suite: what each type does, and when it fails."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from supertester._core.waiting import checked_seconds
from supertester._core.waiting import pause as pause_clock
from supertester.chaos.children import chaos_kill_children
from supertester.chaos.crash import inject_crash
from supertester.chaos.exhaustion import Exhaustion, simulate_resource_exhaustion
from supertester.chaos.fault import Fault
from supertester.chaos.interception import MessageFault
from supertester.chaos.journal import note
from supertester.chaos.memory import consume_memory
from supertester.chaos.process_failures import FailingWorkers
from supertester.chaos.process_pause import PausedTarget
from supertester.chaos.random_failures import RandomFailures
from supertester.chaos.rlimits import LimitedProcess, limit_resources
from supertester.chaos.state import pause
from supertester.chaos.undoing import Undoable
from supertester.chaos.workers import kill_random_worker
from supertester.errors import UsageError
from supertester.otp.runtime import current_runtime
from supertester.scenarios import Scenario, run_scenario
from supertester.targets.adapting import process_of

__all__ = ["BY_CHANCE", "ENTRIES", "EntryFailed"]

BY_CHANCE = frozenset({"kill_children", "crash", "kill_worker", "random_failures", "fault"})
"""The types that take a seed."""
_HANDLING = 1.0
"""Seconds in which one that traps exits has to handle the signal of a crash."""


class EntryFailed(Exception):
    """An entry did what it should, and the target did not bear it, or the entry itself is wrong."""

    def __init__(self, reason: Any, report: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.report = report


async def _kill_children(target: Any, options: dict[str, Any]) -> Any:
    report = await chaos_kill_children(target, **options)
    if report.supervisor_crashed:
        raise EntryFailed("supervisor_crashed", report)
    return report


async def _crash(target: Any, options: dict[str, Any]) -> Any:
    victim, spec = options.pop("target", target), options.pop("spec", "immediate")
    injection = await inject_crash(victim, spec, **options)
    await injection
    if not injection.fired and spec[0] != "random":
        raise EntryFailed("not_hit", injection)
    if injection.fired:
        await injection.wait_for_end(_HANDLING)
        if not injection.died:
            raise EntryFailed("survived", injection)
    return injection


async def _concurrent(target: Any, options: dict[str, Any]) -> Any:
    scenario, build = options.pop("scenario", None), options.pop("build", None)
    _refuse_others(options, "scenario", "build")
    if build is not None:
        try:
            scenario = await _value(build(target))
        except Exception as error:
            raise EntryFailed(("scenario_builder_failed", error)) from error
    if scenario is None:
        raise EntryFailed("missing_concurrent_scenario")
    if isinstance(scenario, Mapping):
        scenario = Scenario(**scenario)
    report = await run_scenario(scenario)
    if not report.ok:
        raise EntryFailed(report.error, report)
    return report


async def _fault(target: Any, options: dict[str, Any]) -> Any:
    fault, seed = options.pop("fault", None), options.pop("seed", None)
    target, lasting = options.pop("target", target), _Lasting.taken_from(options)
    _refuse_others(options, "fault", "target", "duration_ms", "during")
    if not isinstance(fault, Fault):
        raise UsageError(f"an entry of type 'fault' needs a fault with a name and inject(target), got fault={fault!r}")
    async with _seeded(fault, seed).inject(target) as evidence:
        if not isinstance(evidence, (MessageFault, Undoable, FailingWorkers)):
            note(fault.name, target, evidence)  # The others note what they do, which may be nothing.
        await lasting.over(evidence)
    # A failure that is just being delivered is noted when it ends.
    if isinstance(evidence, FailingWorkers) and not evidence.hits:
        raise EntryFailed("not_delivered", evidence)
    return evidence


def _seeded(fault: Any, seed: int | None) -> Any:
    """Return *fault* with the seed of the entry, if it takes one and has none of its own."""
    takes_one = is_dataclass(fault) and getattr(fault, "seed", 0) is None
    return replace(fault, seed=seed) if takes_one else fault


async def _kill_worker(target: Any, options: dict[str, Any]) -> Any:
    injection = await kill_random_worker(options.pop("target", target), **options)
    await injection.wait_for_end(_HANDLING)
    if not injection.died:
        raise EntryFailed("survived", injection)
    return injection


async def _random_failures(target: Any, options: dict[str, Any]) -> Any:
    known = {each.name for each in fields(RandomFailures) if each.init}
    given = {name: options.pop(name) for name in known & set(options)}
    return await _fault(target, {"fault": RandomFailures(**given), **options})


def _exhaustion(target: Any, *, resource: str, **options: Any) -> Exhaustion:
    of = None if resource in ("cpu", "disk", "tables") else process_of(target)
    return simulate_resource_exhaustion(resource, target=of, **options)


def _memory(target: Any, *, fraction: float, **options: Any) -> Exhaustion:
    of = None if options.get("scope") in ("own", "machine") else process_of(target)
    return consume_memory(fraction, target=of, **options)


def _for_a_while(begin: Callable[..., Undoable]) -> Callable[[Any, dict[str, Any]], Awaitable[Any]]:
    """Return what does something for a while, and undoes it: *begin* gets the target and the options."""

    async def run(target: Any, options: dict[str, Any]) -> Any:
        target, lasting = options.pop("target", target), _Lasting.taken_from(options)
        async with begin(target, **options) as evidence:
            await lasting.over(evidence)
        return evidence

    return run


@dataclass(frozen=True)
class _Lasting:
    """For how long something is on, and what is done meanwhile."""

    duration_ms: float
    during: Callable[[Any], Any] | None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> _Lasting:
        duration_ms, during = options.pop("duration_ms", 0), options.pop("during", None)
        checked_seconds("duration_ms", duration_ms)
        if during is not None and not callable(during):
            raise UsageError(f"during must be a function of what is on, got during={during!r}")
        return cls(duration_ms, during)

    async def over(self, evidence: Any) -> None:
        """Let it last, and fail the entry if nothing was delivered."""
        active = not isinstance(evidence, (PausedTarget, LimitedProcess)) or evidence.active
        result = None if self.during is None else await _value(self.during(evidence))
        if self.duration_ms:
            await pause_clock(current_runtime().clock, self.duration_ms / 1000)
        if not active:
            raise EntryFailed("not_delivered", evidence)
        if result is False:
            raise EntryFailed("returned_false", evidence)


async def _custom(target: Any, options: dict[str, Any]) -> Any:
    run = options.pop("run", None)
    _refuse_others(options, "run")
    if not callable(run):
        raise UsageError(f"an entry of type 'custom' needs a function of the target, got run={run!r}")
    result = await _value(run(target))
    if result is False:
        raise EntryFailed("returned_false")
    return result


async def _value(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _refuse_others(options: dict[str, Any], *known: str) -> None:
    if options:
        raise TypeError(f"unknown option {next(iter(options))!r} of an entry; the options are {', '.join(known)}")


ENTRIES: dict[str, Callable[[Any, dict[str, Any]], Awaitable[Any]]] = {
    "kill_children": _kill_children,
    "crash": _crash,
    "concurrent": _concurrent,
    "kill_worker": _kill_worker,
    "pause": _for_a_while(pause),
    "limit": _for_a_while(limit_resources),
    "exhaustion": _for_a_while(_exhaustion),
    "memory": _for_a_while(_memory),
    "random_failures": _random_failures,
    "fault": _fault,
    "custom": _custom,
}
