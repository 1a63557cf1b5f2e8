"""Systems beyond the embedded runtime: programs in processes of their own."""

from supertester.targets.external import ExternalProcess, start_process, with_python_server
from supertester.targets.readiness import FdReady, GrpcReady, HttpReady, LineReady, PortReady, Readiness

__all__ = [
    "ExternalProcess",
    "FdReady",
    "GrpcReady",
    "HttpReady",
    "LineReady",
    "PortReady",
    "Readiness",
    "start_process",
    "with_python_server",
]
