"""Servers of a test: asked, told, synchronised with (`server_talk`), put under load, and crashed (`server_probes`)."""

from supertester.server_probes import (
    CallResults,
    CrashRecovery,
    InvalidMessages,
    StressReport,
    concurrent_calls,
    probe_crash_recovery,
    probe_invalid_messages,
    stress_test_server,
)
from supertester.server_talk import (
    SYNC,
    TestableGenServer,
    call_with_timeout,
    cast_and_sync,
    check_genserver_handles_message,
    check_genserver_responsive,
    check_genserver_state,
    get_server_state_safely,
    wait_for_genserver_sync,
)

__all__ = [
    "SYNC",
    "CallResults",
    "CrashRecovery",
    "InvalidMessages",
    "StressReport",
    "TestableGenServer",
    "call_with_timeout",
    "cast_and_sync",
    "check_genserver_handles_message",
    "check_genserver_responsive",
    "check_genserver_state",
    "concurrent_calls",
    "get_server_state_safely",
    "probe_crash_recovery",
    "probe_invalid_messages",
    "stress_test_server",
    "wait_for_genserver_sync",
]
