"""Programs that speak JSON over their standard input and output: a client for them, and a double of them."""

from supertester.targets.stdio.correlation import check_correlated
from supertester.targets.stdio.errors import PortClosed, PortError, PortTimeout, ProtocolViolation, RemoteError
from supertester.targets.stdio.json_port import JsonPort, start_json_port
from supertester.targets.stdio.mock_port import MockPort
from supertester.targets.stdio.script import Expected, Received
from supertester.targets.stdio.wire import Wire

__all__ = [
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
]
