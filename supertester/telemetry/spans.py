"""Spans and log records of OpenTelemetry as plain values, which can be sent anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from supertester.telemetry.events import TelemetryEvent

__all__ = ["event_of_log", "event_of_span", "events_of_span", "plain_span"]


def plain_span(span: Any) -> dict[str, Any]:
    """Return a finished span as a dict; ids are hexadecimal text and times nanoseconds since the epoch."""
    identity, parent = span.get_span_context(), span.parent
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": f"{identity.trace_id:032x}",
        "span_id": f"{identity.span_id:016x}",
        "parent_id": None if parent is None else f"{parent.span_id:016x}",
        "start_time": span.start_time,
        "end_time": span.end_time,
        "status": span.status.status_code.name,
        "status_description": span.status.description,
        "attributes": _plain(span.attributes),
        "events": [
            {"name": event.name, "time": event.timestamp, "attributes": _plain(event.attributes)}
            for event in span.events
        ],
        "links": [f"{link.context.span_id:016x}" for link in span.links],
    }


def event_of_span(plain: Mapping[str, Any]) -> TelemetryEvent:
    """Return the event that a span is, its attributes with ids and status under the prefix ``otel.``."""
    metadata = dict(plain["attributes"])
    metadata["otel.trace_id"] = plain["trace_id"]
    metadata["otel.span_id"] = plain["span_id"]
    if plain["parent_id"] is not None:
        metadata["otel.parent_id"] = plain["parent_id"]
    if plain["status"] != "UNSET":
        metadata["otel.status_code"] = plain["status"]
    if plain["status_description"] is not None:
        metadata["otel.status_description"] = plain["status_description"]
    duration = (plain["end_time"] - plain["start_time"]) / 1e6
    return TelemetryEvent(plain["name"], {"duration_ms": duration}, metadata, "span")


def events_of_span(plain: Mapping[str, Any]) -> Iterator[TelemetryEvent]:
    """Yield the events that were added to a span."""
    for event in plain["events"]:
        metadata = {**event["attributes"], "otel.span_name": plain["name"], "otel.span_id": plain["span_id"]}
        yield TelemetryEvent(event["name"], {}, metadata, "span_event")


def event_of_log(record: Any, scope: str) -> TelemetryEvent:
    """Return the event that a log record is; one without a name is called as its logger."""
    metadata = _plain(record.attributes)
    if record.body is not None:
        metadata["body"] = record.body
    severity = record.severity_text or getattr(record.severity_number, "name", None)
    if severity is not None:
        metadata["severity"] = severity
    return TelemetryEvent(getattr(record, "event_name", None) or scope or "log", {}, metadata, "log")


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in dict(attributes or {}).items()}
