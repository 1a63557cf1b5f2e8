"""Systems beyond the embedded runtime: programs in processes of their own, and what else can be a target."""

from supertester.targets.adapting import target_of
from supertester.targets.external import ExternalProcess, start_process, with_python_server
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
from supertester.targets.target import Identity, Target

__all__ = [
    "Expected",
    "ExternalProcess",
    "FdReady",
    "GrpcReady",
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
    "check_no_orphans",
    "find_marked",
    "start_json_port",
    "start_process",
    "target_of",
    "with_python_server",
]
