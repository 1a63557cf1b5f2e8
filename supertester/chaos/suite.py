"""`run_chaos_suite`: one chaos after the other on the same target, with one deadline for all of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds, pause
from supertester.chaos.children import chaos_kill_children
from supertester.chaos.crash import inject_crash
from supertester.chaos.fault import Fault
from supertester.chaos.interception import MessageFault
from supertester.chaos.journal import note
from supertester.chaos.undoing import Undoable
from supertester.errors import UsageError
from supertester.otp.refs import Reference
from supertester.otp.runtime import current_runtime
from supertester.scenarios import Scenario, run_scenario

__all__ = ["ChaosSuiteReport", "run_chaos_suite"]

_HANDLING = 1.0
"""Seconds in which one that traps exits has to handle the signal of a crash."""


@dataclass(frozen=True, kw_only=True)
class ChaosSuiteReport:
    """What came of the entries of a chaos suite.

    Attributes:
        total_scenarios: How many entries there were.
        passed: How many passed.
        failed: How many did not, those that were never begun for want of time included.
        failures: For each of these a mapping with the entry, ``scenario``, its number, ``index``, and the ``reason``.
        reports: What each entry that was run to its end reported, by its number, those that passed included.
        duration_ms: Milliseconds for all.
    """

    total_scenarios: int
    passed: int
    failed: int
    failures: tuple[Mapping[str, Any], ...]
    reports: Mapping[int, Any]
    duration_ms: float

    def __str__(self) -> str:
        lines = [f"{self.passed} of {self.total_scenarios} entries passed in {self.duration_ms:.0f} ms"]
        lines += [f"  {each['index']}: {shown(each['scenario'])}: {shown(each['reason'])}" for each in self.failures]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: entries and reasons as text."""
        return {
            **vars(self),
            "failures": [
                {"index": each["index"], "scenario": shown(each["scenario"]), "reason": shown(each["reason"])}
                for each in self.failures
            ],
            "reports": {str(number): _dict_of(report) for number, report in self.reports.items()},
        }


def _dict_of(report: Any) -> Any:
    to_dict = getattr(report, "to_dict", None)
    return to_dict() if to_dict is not None else shown(report)


class _EntryFailed(Exception):
    """An entry did what it should, and the target did not bear it, or the entry itself is wrong."""

    def __init__(self, reason: Any, report: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.report = report


async def run_chaos_suite(
    target: Reference, scenarios: Iterable[Mapping[str, Any]], *, timeout: float | None = None
) -> ChaosSuiteReport:
    """Run the entries *scenarios* one after the other on *target*; an entry that fails does not stop the others.

    An entry is a mapping with a ``"type"``, and what belongs to it:

    - ``"kill_children"``: the options of `chaos_kill_children`; fails if the supervisor dies;
    - ``"crash"``: ``target`` and ``reason`` and ``spec``, by default this target, at once; fails if the target survives
      or ends before it is hit, but not if chance spares it;
    - ``"concurrent"``: a ``scenario``, or ``build``, which makes one of the target; fails if the scenario does;
    - ``"fault"``: a ``fault`` and ``duration_ms``, how long it is to last;
    - ``"custom"``: ``run``, a function that gets the target, plain or async; fails by raising or returning ``False``.

    Args:
        target: What all of them are about.
        scenarios: The entries.
        timeout: Seconds for the whole suite on the event loop's clock; the entry that runs over fails with the reason
            ``"timeout"``, and those after it with ``"suite_timeout"``.

    Raises:
        TypeError: *scenarios* is no list of mappings.
        UsageError: *timeout* is negative.
    """
    if isinstance(scenarios, (str, bytes, Mapping)) or not isinstance(scenarios, Iterable):
        raise TypeError(f"run_chaos_suite() takes a list of entries, got {scenarios!r}")
    entries = list(scenarios)
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise TypeError(f"an entry of a chaos suite is a mapping with a 'type', got {entry!r}")
    if timeout is not None:
        checked_seconds("timeout", timeout)
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = None if timeout is None else began + timeout
    failures: list[dict[str, Any]] = []
    reports: dict[int, Any] = {}
    over = False
    for number, entry in enumerate(entries):
        reason, report = ("suite_timeout", None) if over else await _run(target, entry, deadline)
        over = over or reason is _TIMEOUT or (deadline is not None and loop.time() > deadline)
        if report is not None:
            reports[number] = report
        if reason is not None:
            failures.append({"scenario": entry, "index": number, "reason": _text(reason)})
    return ChaosSuiteReport(
        total_scenarios=len(entries),
        passed=len(entries) - len(failures),
        failed=len(failures),
        failures=tuple(failures),
        reports=reports,
        duration_ms=(loop.time() - began) * 1000,
    )


_TIMEOUT: Any = object()
"""The reason of the entry that ran over; an entry may have a reason ``"timeout"`` of its own."""


def _text(reason: Any) -> Any:
    return "timeout" if reason is _TIMEOUT else reason


async def _run(target: Any, entry: Mapping[str, Any], deadline: float | None) -> tuple[Any, Any]:
    """Return the reason why the entry failed, or ``None``, and its report."""
    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            kind = entry.get("type")
            runner = _TYPES.get(kind) if isinstance(kind, str) else None
            if runner is None:
                return ("unknown_scenario_type", kind), None
            options = {name: value for name, value in entry.items() if name != "type"}
            return None, await runner(target, options)
    except TimeoutError as error:
        return (_TIMEOUT if limit.expired() else error), None
    except _EntryFailed as failure:
        return failure.reason, failure.report
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return error, None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the entry's failure
        return error, None


async def _kill_children(target: Any, options: dict[str, Any]) -> Any:
    report = await chaos_kill_children(target, **options)
    if report.supervisor_crashed:
        raise _EntryFailed("supervisor_crashed", report)
    return report


async def _crash(target: Any, options: dict[str, Any]) -> Any:
    victim, spec = options.pop("target", target), options.pop("spec", "immediate")
    injection = await inject_crash(victim, spec, **options)
    await injection
    if not injection.fired and spec[0] != "random":
        raise _EntryFailed("not_hit", injection)
    if injection.fired:
        await injection.wait_for_end(_HANDLING)
        if not injection.died:
            raise _EntryFailed("survived", injection)
    return injection


async def _concurrent(target: Any, options: dict[str, Any]) -> Any:
    scenario, build = options.pop("scenario", None), options.pop("build", None)
    _refuse_others(options, "scenario", "build")
    if build is not None:
        try:
            scenario = await _value(build(target))
        except Exception as error:
            raise _EntryFailed(("scenario_builder_failed", error)) from error
    if scenario is None:
        raise _EntryFailed("missing_concurrent_scenario")
    if isinstance(scenario, Mapping):
        scenario = Scenario(**scenario)
    report = await run_scenario(scenario)
    if not report.ok:
        raise _EntryFailed(report.error, report)
    return report


async def _fault(target: Any, options: dict[str, Any]) -> Any:
    fault, duration_ms = options.pop("fault", None), options.pop("duration_ms", 0)
    _refuse_others(options, "fault", "duration_ms")
    checked_seconds("duration_ms", duration_ms)
    if not isinstance(fault, Fault):
        raise UsageError(f"an entry of type 'fault' needs a fault with a name and inject(target), got fault={fault!r}")
    async with fault.inject(target) as evidence:
        if not isinstance(evidence, (MessageFault, Undoable)):  # Those note what they do, which may be nothing.
            note(fault.name, target, evidence)
        if duration_ms:
            await pause(current_runtime().clock, duration_ms / 1000)
    return evidence


async def _custom(target: Any, options: dict[str, Any]) -> Any:
    run = options.pop("run", None)
    _refuse_others(options, "run")
    if not callable(run):
        raise UsageError(f"an entry of type 'custom' needs a function of the target, got run={run!r}")
    result = await _value(run(target))
    if result is False:
        raise _EntryFailed("returned_false")
    return result


async def _value(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _refuse_others(options: dict[str, Any], *known: str) -> None:
    if options:
        raise TypeError(f"unknown option {next(iter(options))!r} of an entry; the options are {', '.join(known)}")


_TYPES: dict[str, Callable[[Any, dict[str, Any]], Awaitable[Any]]] = {
    "kill_children": _kill_children,
    "crash": _crash,
    "concurrent": _concurrent,
    "fault": _fault,
    "custom": _custom,
}
