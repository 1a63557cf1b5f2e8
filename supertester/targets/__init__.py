"""Systems beyond the embedded runtime: programs in processes of their own, and what else can be a target."""

from supertester.targets.adapting import target_of
from supertester.targets.external import ExternalProcess, start_process, with_python_server
from supertester.targets.readiness import FdReady, GrpcReady, HttpReady, LineReady, PortReady, Readiness
from supertester.targets.target import Identity, Target

__all__ = [
    "ExternalProcess",
    "FdReady",
    "GrpcReady",
    "HttpReady",
    "Identity",
    "LineReady",
    "PortReady",
    "Readiness",
    "Target",
    "start_process",
    "target_of",
    "with_python_server",
]
