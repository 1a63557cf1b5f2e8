"""Chaos: faults on purpose, seeded, journalled and undone at the end of the test."""

from supertester.chaos.at_operations import at_operations
from supertester.chaos.children import ChaosReport, chaos_kill_children
from supertester.chaos.crash import Injection, inject_crash
from supertester.chaos.deck import FailureDeck
from supertester.chaos.delivery import check_faults_delivered
from supertester.chaos.exhaustion import Exhaustion, simulate_resource_exhaustion
from supertester.chaos.exhaustive import (
    CancellationRun,
    FailpointRun,
    cancel_at_every_await,
    check_cancellation_safe,
    exhaust_failpoints,
)
from supertester.chaos.fault import Fault
from supertester.chaos.interception import MessageFault, MessageHit
from supertester.chaos.journal import ChaosEvent, Journal, journaled
from supertester.chaos.latency import add_latency
from supertester.chaos.memory import consume_memory
from supertester.chaos.messages import Delay, Drop, Duplicate, Reorder, delay, drop, duplicate, reorder
from supertester.chaos.network import NetworkFault, NetworkProxy, Toxic, network_proxy
from supertester.chaos.pipes import PipeFault, PipeHit, PipeProxy
from supertester.chaos.process_crash import ProcessInjection
from supertester.chaos.process_failures import FailingWorkers
from supertester.chaos.process_pause import PausedTarget
from supertester.chaos.random_failures import FAILURE_TYPES, RandomFailures, inject_random_failures
from supertester.chaos.recovery import Recovery, probe_recovery
from supertester.chaos.resilience import Resilience, probe_chaos_resilience
from supertester.chaos.rlimits import LimitedProcess, limit_resources
from supertester.chaos.small_disk import DiskFull, SmallDisk, small_disk
from supertester.chaos.state import Corrupt, Corruption, Pause, Paused, corrupt_state, pause, resume
from supertester.chaos.suite import ChaosSuiteReport, run_chaos_suite
from supertester.chaos.workers import kill_random_worker

__all__ = [
    "FAILURE_TYPES",
    "CancellationRun",
    "ChaosEvent",
    "ChaosReport",
    "ChaosSuiteReport",
    "Corrupt",
    "Corruption",
    "Delay",
    "DiskFull",
    "Drop",
    "Duplicate",
    "Exhaustion",
    "FailingWorkers",
    "FailpointRun",
    "FailureDeck",
    "Fault",
    "Injection",
    "Journal",
    "LimitedProcess",
    "MessageFault",
    "MessageHit",
    "NetworkFault",
    "NetworkProxy",
    "Pause",
    "Paused",
    "PausedTarget",
    "PipeFault",
    "PipeHit",
    "PipeProxy",
    "ProcessInjection",
    "RandomFailures",
    "Recovery",
    "Reorder",
    "Resilience",
    "SmallDisk",
    "Toxic",
    "add_latency",
    "at_operations",
    "cancel_at_every_await",
    "chaos_kill_children",
    "check_cancellation_safe",
    "check_faults_delivered",
    "consume_memory",
    "corrupt_state",
    "delay",
    "drop",
    "duplicate",
    "exhaust_failpoints",
    "inject_crash",
    "inject_random_failures",
    "journaled",
    "kill_random_worker",
    "limit_resources",
    "network_proxy",
    "pause",
    "probe_chaos_resilience",
    "probe_recovery",
    "reorder",
    "resume",
    "run_chaos_suite",
    "simulate_resource_exhaustion",
    "small_disk",
]
