"""`emit` and `span`: what the library says about itself, to the running test and to OpenTelemetry."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from supertester.telemetry.events import EVENTS, PREFIX, TEST_ID, TelemetryEvent

__all__ = ["Listener", "add_listener", "emit", "is_emitting", "is_heard", "remove_listener", "span"]

Listener = Callable[[TelemetryEvent], object]

_listeners: dict[Listener, Callable[[], str | None]] = {}
"""Who gets the events, and by whom it is known which test the present code belongs to."""
_state = threading.local()
_histograms: dict[str, Any] = {}
"""Of the events of `EVENTS` alone, so there is no end to them that a caller could move."""


def add_listener(listener: Listener, *, identify: Callable[[], str | None] = lambda: None) -> None:
    """Let *listener* get every event from now on; *identify* says which test the present code belongs to."""
    _listeners[listener] = identify


def remove_listener(listener: Listener) -> None:
    """Undo `add_listener`."""
    _listeners.pop(listener, None)


def is_heard() -> bool:
    """Say whether an event would reach anybody: worth asking before something expensive is measured for it."""
    return bool(_listeners) or "opentelemetry.trace" in sys.modules


def is_emitting() -> bool:
    """Say whether this thread is inside of `emit`: what it causes is the same event once more, and is not reported."""
    return getattr(_state, "busy", False)


def emit(name: str, measurements: Mapping[str, Any] | None = None, metadata: Mapping[str, Any] | None = None) -> None:
    """Send an event of the library.

    It reaches the test that the calling code belongs to, and OpenTelemetry where the program uses it: as an event of
    the current span, or as a log event where there is none; the numbers of the events in `EVENTS` also as histograms.
    Nothing is raised, whatever the listeners do, and where nobody listens nothing is done. An event that is emitted by
    what another event causes is dropped.

    Args:
        name: Dotted; ``"supertester."`` is put before it.
        measurements: Numbers by name.
        metadata: Everything else. An id under ``"supertester.test_id"`` wins over that of the running test.

    >>> emit("concurrent.scenario.stop", {"duration_ms": 12.5}, {"scenario_id": 7})
    """
    if not _listeners and "opentelemetry.trace" not in sys.modules:
        return
    if is_emitting():
        return
    _state.busy = True
    try:
        _send(TelemetryEvent(PREFIX + name, dict(measurements or {}), _tagged(metadata)))
    except Exception:  # noqa: BLE001 - what is told about the code under test must not break it
        pass
    finally:
        _state.busy = False


def _tagged(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    tagged = dict(metadata or {})
    for identify in list(_listeners.values()):
        if TEST_ID not in tagged and (test_id := identify()) is not None:
            tagged[TEST_ID] = test_id
    return tagged


def _send(event: TelemetryEvent) -> None:
    for listener in list(_listeners):
        try:
            listener(event)
        except Exception:  # noqa: BLE001 - as in `emit`; the other listeners get it all the same
            continue
    if "opentelemetry.trace" in sys.modules:
        _to_opentelemetry(event)


def _to_opentelemetry(event: TelemetryEvent) -> None:
    from opentelemetry import trace

    attributes = _attributes({**event.measurements, **event.metadata})
    current = trace.get_current_span()
    if current.is_recording():
        current.add_event(event.name, attributes)
    else:
        _as_log(event, attributes)
    if event.name in EVENTS:
        _as_metrics(event)


def _as_log(event: TelemetryEvent, attributes: dict[str, Any]) -> None:
    from opentelemetry._logs import LogRecord, SeverityNumber, get_logger

    record = LogRecord(
        body=event.name, attributes=attributes, event_name=event.name, severity_number=SeverityNumber.INFO
    )
    get_logger("supertester").emit(record)


def _as_metrics(event: TelemetryEvent) -> None:
    from opentelemetry import metrics

    test = {TEST_ID: event.metadata[TEST_ID]} if TEST_ID in event.metadata else {}
    for key, value in event.measurements.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key in EVENTS[event.name].measurements:
            name = f"{event.name}.{key}"
            if name not in _histograms:
                _histograms[name] = metrics.get_meter("supertester").create_histogram(name)
            _histograms[name].record(value, test)


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* as OpenTelemetry takes them: its own types as they are, everything else as text."""
    return {
        str(key): value if isinstance(value, (str, bool, int, float)) else repr(value)
        for key, value in values.items()
        if value is not None
    }


@contextmanager
def span(name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Make the body of the ``with`` a span of OpenTelemetry, tagged with the running test.

    Args:
        name: Dotted; ``"supertester."`` is put before it.
        attributes: For the span; values that OpenTelemetry does not take are given as text.

    Yields:
        The span, or ``None`` where the program does not use OpenTelemetry, which then is not imported.

    An exception of the body is recorded in the span, which gets the status of an error, and goes on.

    >>> with span("chaos", {"kill_rate": 0.3}):
    ...     print("chaos")
    chaos
    """
    if "opentelemetry.trace" not in sys.modules:
        yield None
        return
    from opentelemetry import trace

    tagged = _attributes(_tagged(attributes))
    with trace.get_tracer("supertester").start_as_current_span(PREFIX + name, attributes=tagged) as current:
        yield current
