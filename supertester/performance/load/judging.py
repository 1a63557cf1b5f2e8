"""Whether a load went as well as it had to."""

from __future__ import annotations

from typing import Final

from supertester.errors import UsageError
from supertester.performance.load.process_load import ProcessLoad
from supertester.performance.load.report import LoadReport
from supertester.performance.verdict import Judged, Verdict, overall

__all__ = ["judge_load"]

_PERCENTILES: Final = {
    "max_p50_ms": 50.0,
    "max_p90_ms": 90.0,
    "max_p95_ms": 95.0,
    "max_p99_ms": 99.0,
    "max_p99_9_ms": 99.9,
}
_OF_PROCESS: Final = {
    "max_process_cpu": "cpu",
    "max_process_memory_bytes": "memory_bytes",
    "max_process_memory_growth_bytes": "memory_growth_bytes",
    "max_process_descriptor_growth": "descriptor_growth",
    "max_process_thread_growth": "thread_growth",
}
_KNOWN: Final = ("min_success_rate", "min_throughput", *_PERCENTILES, *_OF_PROCESS)


def judge_load(report: LoadReport, **bounds: float) -> Judged:
    """Say whether *report* keeps its *bounds*.

    Errors are errors in any case. Latencies and throughput of a load whose generator could not keep up are neither
    good nor bad: the verdict is inconclusive; so it is for a percentile that there are too few operations for.

    Args:
        report: What `run_load` returned.
        bounds: One or more of ``min_success_rate``, ``min_throughput`` (per second), and ``max_p50_ms``,
            ``max_p90_ms``, ``max_p95_ms``, ``max_p99_ms``, ``max_p99_9_ms``. Of the process that was looked at,
            ``max_process_cpu`` (processors), ``max_process_memory_bytes``, ``max_process_memory_growth_bytes``,
            ``max_process_descriptor_growth``, ``max_process_thread_growth``. One that has ended fails all of these.

    Raises:
        UsageError: There is no bound, or one is negative, or of a process although none was looked at.
        TypeError: One is unknown, or no number.
    """
    if not bounds:
        raise UsageError(f"there is nothing to check; give one of {', '.join(_KNOWN)}")
    for name, bound in bounds.items():
        if name not in _KNOWN:
            raise TypeError(f"unknown bound {name!r}; the known ones are {', '.join(_KNOWN)}")
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise TypeError(f"{name} must be a number, got {name}={bound!r}")
        if not bound >= 0:
            raise UsageError(f"{name} must be 0 or more, got {name}={bound!r}")
    found = [_judged(report, name, bound) for name, bound in bounds.items()]
    verdict = overall([each for each, _ in found])
    lines = tuple(line for each, line in found if each is verdict)
    if verdict is Verdict.FAIL:
        lines += (str(report), *report.error_samples[:1])
    elif verdict is Verdict.INCONCLUSIVE and not report.valid:
        lines += (report.invalid_reason,)
    return Judged(verdict, lines)


def _judged_process(process: ProcessLoad | None, name: str, bound: float) -> tuple[Verdict, str]:
    if process is None:
        raise UsageError(f"{name} is of a process, and none was looked at; give run_load() a process=")
    if process.ended:
        return Verdict.FAIL, f"{name}: the process has ended before the load did"
    value = getattr(process, _OF_PROCESS[name])
    good, shown = value <= bound, f"process {_OF_PROCESS[name]} is {value:.5g}"
    return _told(good), f"{shown}, at most {bound:g}" if good else f"{shown}, exceeded maximum of {bound:g}"


def _judged(report: LoadReport, name: str, bound: float) -> tuple[Verdict, str]:
    if name in _OF_PROCESS:
        return _judged_process(report.process, name, bound)
    if name == "min_success_rate":
        good = report.success_rate >= bound
        return _told(good), f"success_rate is {report.success_rate:.5g}, expected at least {bound:g}"
    if name == "min_throughput":
        good = report.throughput >= bound
        verdict, line = _told(good), f"throughput is {report.throughput:.5g} per second, expected at least {bound:g}"
    else:
        value = report.percentile_ms(_PERCENTILES[name])
        shown = name.removeprefix("max_")
        if value is None:
            return Verdict.INCONCLUSIVE, f"{shown} cannot be known from {report.operations} operations"
        verdict, line = _told(value <= bound), f"{shown} is {value:.5g}, exceeded maximum of {bound:g}"
        if verdict is Verdict.PASS:
            line = f"{shown} is {value:.5g}, at most {bound:g}"
    return (verdict, line) if report.valid else (Verdict.INCONCLUSIVE, f"{line}, but the load is invalid")


def _told(good: bool) -> Verdict:  # noqa: FBT001
    return Verdict.PASS if good else Verdict.FAIL
