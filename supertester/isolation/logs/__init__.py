"""Logs: the records of each test go to that test, by levels of its own."""

from supertester.isolation.logs.handle import Logs, enter_logs
from supertester.isolation.logs.recording import KeptRecord
from supertester.isolation.logs.route import Capture
from supertester.isolation.logs.routing import log_evidence, route_records

__all__ = ["Capture", "KeptRecord", "Logs", "enter_logs", "log_evidence", "route_records"]
