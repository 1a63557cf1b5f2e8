"""`run_chaos_suite`: one chaos after the other on the same target, with one deadline and one seed for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown
from supertester._core.seeds import derive_seed
from supertester._core.waiting import checked_seconds
from supertester.chaos.journal import ChaosEvent, chosen_seed, journaled
from supertester.chaos.suite_entries import BY_CHANCE, ENTRIES, EntryFailed
from supertester.otp.refs import Reference
from supertester.targets.target import Target
from supertester.telemetry.emission import spanned

__all__ = ["ChaosSuiteReport", "run_chaos_suite"]


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
        seed: What chance decided by, in all of them.
        journal: Every fault that was delivered, in order.
    """

    total_scenarios: int
    passed: int
    failed: int
    failures: tuple[Mapping[str, Any], ...]
    reports: Mapping[int, Any]
    duration_ms: float
    seed: int
    journal: tuple[ChaosEvent, ...]

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
            "journal": [event.to_dict() for event in self.journal],
            "reports": {str(number): _dict_of(report) for number, report in self.reports.items()},
        }


def _dict_of(report: Any) -> Any:
    to_dict = getattr(report, "to_dict", None)
    return to_dict() if to_dict is not None else shown(report)


@spanned("chaos.suite")
async def run_chaos_suite(
    target: Reference | Target,
    scenarios: Iterable[Mapping[str, Any]],
    *,
    timeout: float | None = None,
    seed: int | None = None,
) -> ChaosSuiteReport:
    """Run the entries *scenarios* one after the other on *target*; an entry that fails does not stop the others.

    An entry is a mapping with a ``"type"``, and what belongs to it:

    - ``"kill_children"``: the options of `chaos_kill_children`; fails if the supervisor dies;
    - ``"crash"``: ``target`` and ``reason`` and ``spec``, by default this target, at once; fails if the target survives
      or ends before it is hit, but not if chance spares it;
    - ``"kill_worker"``: the options of `kill_random_worker`; fails if the worker survives;
    - ``"pause"``: the options of `pause`;
    - ``"limit"``: those of `limit_resources`;
    - ``"exhaustion"``: a ``resource``, and the options of `simulate_resource_exhaustion`;
    - ``"memory"``: a ``fraction``, and the options of `consume_memory`;
    - ``"random_failures"``: the fields of `RandomFailures`, e.g. ``failure_rate`` and ``every_ms``;
    - ``"concurrent"``: a ``scenario``, or ``build``, which makes one of the target; fails if the scenario does;
    - ``"fault"``: a ``fault``, which is any `Fault`;
    - ``"custom"``: ``run``, a function that gets the target, plain or async; fails by raising or returning ``False``.

    Those from ``"pause"`` to ``"random_failures"``, and ``"fault"``, last: for ``duration_ms``, and as long as
    ``during`` runs, a function that gets what is on, plain or async, and fails as that of ``"custom"`` does. They may
    have a ``target`` of their own, e.g. one worker. What was to hit a real process, or real workers, and did not, fails
    with ``"not_delivered"``.

    Args:
        target: What all of them are about.
        scenarios: The entries.
        timeout: Seconds for the whole suite on the event loop's clock; the entry that runs over fails with the reason
            ``"timeout"``, and those after it with ``"suite_timeout"``.
        seed: Of all that chance decides, unless an entry has a seed of its own; by default that of the running test.

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
    chosen = chosen_seed(seed, "run_chaos_suite")
    failures: list[dict[str, Any]] = []
    reports: dict[int, Any] = {}
    over = False
    with journaled() as journal:
        for number, entry in enumerate(entries):
            seeded = {"seed": derive_seed(chosen, str(number)), **entry} if _by_chance(entry) else entry
            reason, report = ("suite_timeout", None) if over else await _run(target, seeded, deadline)
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
        seed=chosen,
        journal=tuple(journal.events),
    )


_TIMEOUT: Any = object()
"""The reason of the entry that ran over; an entry may have a reason ``"timeout"`` of its own."""


def _by_chance(entry: Mapping[str, Any]) -> bool:
    kind = entry.get("type")
    return isinstance(kind, str) and kind in BY_CHANCE


def _text(reason: Any) -> Any:
    return "timeout" if reason is _TIMEOUT else reason


async def _run(target: Any, entry: Mapping[str, Any], deadline: float | None) -> tuple[Any, Any]:
    """Return the reason why the entry failed, or ``None``, and its report."""
    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            kind = entry.get("type")
            runner = ENTRIES.get(kind) if isinstance(kind, str) else None
            if runner is None:
                return ("unknown_scenario_type", kind), None
            options = {name: value for name, value in entry.items() if name != "type"}
            return None, await runner(target, options)
    except TimeoutError as error:
        return (_TIMEOUT if limit.expired() else error), None
    except EntryFailed as failure:
        return failure.reason, failure.report
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return error, None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the entry's failure
        return error, None
