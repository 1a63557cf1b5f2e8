"""The telemetry of one test: what its own code did, as spans, metrics, logs and events say."""

from supertester.isolation.telemetry.handle import Telemetry
from supertester.isolation.telemetry.handlers import Capture, Handler

__all__ = ["Capture", "Handler", "Telemetry"]
