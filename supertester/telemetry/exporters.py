"""For programs that configure OpenTelemetry by their environment: exporters to the test that started the program.

Their name is ``supertester``, as in ``OTEL_TRACES_EXPORTER=supertester``. They send what `connect` sends, but when the
program's processor exports it, so a program that is killed may not have sent the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk._logs import export as logs
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from supertester.telemetry.channel import Sender, sender_from_environment
from supertester.telemetry.events import PREFIX, TEST_ID, TelemetryEvent
from supertester.telemetry.spans import event_of_log, event_of_span, events_of_span, plain_span

__all__ = ["ParentLogExporter", "ParentSpanExporter"]

# The names of before and after these became stable.
_LogExporter: Any = getattr(logs, "LogRecordExporter", None) or logs.LogExporter
_LogResult: Any = getattr(logs, "LogRecordExportResult", None) or logs.LogExportResult


class _Exports:
    """Sends to the test that started this process; where there is none, nothing."""

    def __init__(self) -> None:
        self._sender: Sender | None = sender_from_environment()

    def _send(self, event: TelemetryEvent, plain: dict[str, Any] | None = None) -> None:
        if self._sender is None:
            return
        metadata = {TEST_ID: self._sender.test_id, **event.metadata} if self._sender.test_id else event.metadata
        self._sender.send(TelemetryEvent(event.name, event.measurements, metadata, event.kind), plain)

    def shutdown(self) -> None:
        """End the connection."""
        if self._sender is not None:
            self._sender.close()


class ParentSpanExporter(_Exports, SpanExporter):
    """Sends finished spans and their events to the test that started this process."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Send *spans*."""
        for span in spans:
            plain = plain_span(span)
            for event in events_of_span(plain):
                if not event.name.startswith(PREFIX):
                    self._send(event)
            self._send(event_of_span(plain), plain)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: everything is sent when it is exported."""
        return True


class ParentLogExporter(_Exports, _LogExporter):  # type: ignore[misc]
    """Sends log records to the test that started this process."""

    def export(self, batch: Sequence[Any]) -> Any:
        """Send *batch*."""
        for each in batch:
            scope = each.instrumentation_scope
            self._send(event_of_log(each.log_record, scope.name if scope is not None else ""))
        return _LogResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: everything is sent when it is exported."""
        return True
