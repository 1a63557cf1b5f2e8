"""The library's own events, and the way from OpenTelemetry to whoever listens.

`emit` sends an event of the library: to the running test, which it is tagged with, and, where the program uses
OpenTelemetry, into its signals, so that an exporter of the application shows it. `span` does the same for something
that lasts. `connect` lets a child process send what it does to the test that started it.

OpenTelemetry is imported by none of these: a program that has not imported it has nobody who would see the signals.
"""

from supertester.telemetry.child import connect
from supertester.telemetry.emission import emit, is_heard, span
from supertester.telemetry.events import EVENTS, PREFIX, SPANS, TEST_ID, EventSpec, TelemetryEvent

__all__ = [
    "EVENTS",
    "PREFIX",
    "SPANS",
    "TEST_ID",
    "EventSpec",
    "TelemetryEvent",
    "connect",
    "emit",
    "is_heard",
    "span",
]
