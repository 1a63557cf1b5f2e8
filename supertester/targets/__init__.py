"""Systems beyond the embedded runtime: programs in processes of their own, and what else can be a target."""

from supertester.targets.adapting import target_of
from supertester.targets.exclusive import check_port_exclusive
from supertester.targets.external import ExternalProcess, start_process, with_python_server
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
from supertester.targets.readiness import FdReady, GrpcReady, HttpReady, LineReady, PortReady, Readiness
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
    "PortClosed",
    "PortError",
    "PortReady",
    "PortTimeout",
    "ProtocolViolation",
    "Readiness",
    "Received",
    "RemoteError",
    "Target",
    "Wire",
    "check_correlated",
    "check_grpc_ready",
    "check_no_orphans",
    "check_port_exclusive",
    "check_rpc_error",
    "check_streaming_response",
    "find_marked",
    "grpc_aio_channel",
    "grpc_channel",
    "grpc_server",
    "probe_grpc_health",
    "start_json_port",
    "start_process",
    "target_of",
    "wait_for_grpc_ready",
    "with_python_server",
]
