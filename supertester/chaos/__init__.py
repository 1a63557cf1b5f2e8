"""Chaos: faults on purpose, seeded, journalled and undone at the end of the test."""

from supertester.chaos.children import ChaosReport, chaos_kill_children
from supertester.chaos.crash import Injection, inject_crash
from supertester.chaos.fault import Fault
from supertester.chaos.journal import ChaosEvent, Journal, journaled
from supertester.chaos.resilience import Resilience, probe_chaos_resilience
from supertester.chaos.suite import ChaosSuiteReport, run_chaos_suite

__all__ = [
    "ChaosEvent",
    "ChaosReport",
    "ChaosSuiteReport",
    "Fault",
    "Injection",
    "Journal",
    "Resilience",
    "chaos_kill_children",
    "inject_crash",
    "journaled",
    "probe_chaos_resilience",
    "run_chaos_suite",
]
