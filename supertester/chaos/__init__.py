"""Chaos: faults on purpose, seeded, journalled and undone at the end of the test."""

from supertester.chaos.children import ChaosReport, chaos_kill_children
from supertester.chaos.crash import Injection, inject_crash
from supertester.chaos.exhaustive import (
    CancellationRun,
    FailpointRun,
    cancel_at_every_await,
    check_cancellation_safe,
    exhaust_failpoints,
)
from supertester.chaos.fault import Fault
from supertester.chaos.journal import ChaosEvent, Journal, journaled
from supertester.chaos.resilience import Resilience, probe_chaos_resilience
from supertester.chaos.suite import ChaosSuiteReport, run_chaos_suite

__all__ = [
    "CancellationRun",
    "ChaosEvent",
    "ChaosReport",
    "ChaosSuiteReport",
    "FailpointRun",
    "Fault",
    "Injection",
    "Journal",
    "Resilience",
    "cancel_at_every_await",
    "chaos_kill_children",
    "check_cancellation_safe",
    "exhaust_failpoints",
    "inject_crash",
    "journaled",
    "probe_chaos_resilience",
    "run_chaos_suite",
]
