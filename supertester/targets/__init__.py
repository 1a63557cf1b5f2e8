"""Systems beyond the embedded runtime: programs in processes of their own, and what else can be a target.

Each name is loaded on first use: who tests one kind of system does not pay for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes

if TYPE_CHECKING:
    from supertester.targets.adapting import target_of
    from supertester.targets.contract import check_target_contract
    from supertester.targets.exclusive import check_port_exclusive
    from supertester.targets.external import ExternalProcess, start_process
    from supertester.targets.grpc import (
        GrpcAioChannel,
        GrpcChannel,
        GrpcChannels,
        GrpcHealth,
        GrpcServer,
        Health,
        check_grpc_ready,
        check_rpc_error,
        grpc_aio_channel,
        grpc_channel,
        grpc_server,
        probe_grpc_health,
        wait_for_grpc_ready,
    )
    from supertester.targets.orphans import check_no_orphans, find_marked
    from supertester.targets.os_process import ProcessTarget
    from supertester.targets.os_server import RemoteCrash, os_child_spec, start_os_server
    from supertester.targets.pools import Pool, WorkerRef
    from supertester.targets.python_server import with_python_server
    from supertester.targets.readiness import FdReady, GrpcReady, HttpReady, LineReady, PortReady, Readiness
    from supertester.targets.sessions import Sessions, SessionsReport
    from supertester.targets.stdio import (
        Expected,
        JsonPort,
        MockPort,
        PortClosed,
        PortError,
        PortTimeout,
        ProtocolViolation,
        Received,
        RemoteError,
        Wire,
        check_correlated,
        start_json_port,
    )
    from supertester.targets.streams import check_streaming_response
    from supertester.targets.target import Identity, Target
    from supertester.targets.tasks import QueueTaskTarget, TaskTarget
    from supertester.targets.threads import QueueThreadTarget, ThreadTarget

__all__ = [
    "Expected",
    "ExternalProcess",
    "FdReady",
    "GrpcAioChannel",
    "GrpcChannel",
    "GrpcChannels",
    "GrpcHealth",
    "GrpcReady",
    "GrpcServer",
    "Health",
    "HttpReady",
    "Identity",
    "JsonPort",
    "LineReady",
    "MockPort",
    "Pool",
    "PortClosed",
    "PortError",
    "PortReady",
    "PortTimeout",
    "ProcessTarget",
    "ProtocolViolation",
    "QueueTaskTarget",
    "QueueThreadTarget",
    "Readiness",
    "Received",
    "RemoteCrash",
    "RemoteError",
    "Sessions",
    "SessionsReport",
    "Target",
    "TaskTarget",
    "ThreadTarget",
    "Wire",
    "WorkerRef",
    "check_correlated",
    "check_grpc_ready",
    "check_no_orphans",
    "check_port_exclusive",
    "check_rpc_error",
    "check_streaming_response",
    "check_target_contract",
    "find_marked",
    "grpc_aio_channel",
    "grpc_channel",
    "grpc_server",
    "os_child_spec",
    "probe_grpc_health",
    "start_json_port",
    "start_os_server",
    "start_process",
    "target_of",
    "wait_for_grpc_ready",
    "with_python_server",
]

_HOMES = {
    "adapting": ("target_of",),
    "contract": ("check_target_contract",),
    "exclusive": ("check_port_exclusive",),
    "external": (
        "ExternalProcess",
        "start_process",
    ),
    "grpc": (
        "GrpcAioChannel",
        "GrpcChannel",
        "GrpcChannels",
        "GrpcHealth",
        "GrpcServer",
        "Health",
        "check_grpc_ready",
        "check_rpc_error",
        "grpc_aio_channel",
        "grpc_channel",
        "grpc_server",
        "probe_grpc_health",
        "wait_for_grpc_ready",
    ),
    "orphans": (
        "check_no_orphans",
        "find_marked",
    ),
    "os_process": ("ProcessTarget",),
    "os_server": (
        "RemoteCrash",
        "os_child_spec",
        "start_os_server",
    ),
    "pools": (
        "Pool",
        "WorkerRef",
    ),
    "python_server": ("with_python_server",),
    "readiness": (
        "FdReady",
        "GrpcReady",
        "HttpReady",
        "LineReady",
        "PortReady",
        "Readiness",
    ),
    "sessions": (
        "Sessions",
        "SessionsReport",
    ),
    "stdio": (
        "Expected",
        "JsonPort",
        "MockPort",
        "PortClosed",
        "PortError",
        "PortTimeout",
        "ProtocolViolation",
        "Received",
        "RemoteError",
        "Wire",
        "check_correlated",
        "start_json_port",
    ),
    "streams": ("check_streaming_response",),
    "target": (
        "Identity",
        "Target",
    ),
    "tasks": (
        "QueueTaskTarget",
        "TaskTarget",
    ),
    "threads": (
        "QueueThreadTarget",
        "ThreadTarget",
    ),
}

if not TYPE_CHECKING:  # A type checker reads the imports above, so that it can tell a misspelt name.
    __getattr__ = lazy_attributes(
        __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
