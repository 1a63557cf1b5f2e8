"""`emit`, `span` and `told`: what the library says about itself, to the running test and to OpenTelemetry."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sized
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from supertester._core.evidence import shown
from supertester._core.naming import describe
from supertester.telemetry.events import EVENTS, PREFIX, SPANS, TEST_ID, EventSpec, TelemetryEvent

__all__ = [
    "Listener",
    "add_listener",
    "emit",
    "is_emitting",
    "is_heard",
    "remove_listener",
    "span",
    "spanned",
    "told",
]

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[TelemetryEvent], object]


class _Measured:
    """A measurement; what was started in it and outlives it is not measured any more."""

    is_on = True


_listeners: dict[Listener, Callable[[], str | None]] = {}
"""Who gets the events, and by whom it is known which test the present code belongs to."""
_state = threading.local()
_histograms: dict[str, Any] = {}
"""Of `EVENTS` and `SPANS` alone, so there is no end to them that a caller could move."""
_measured: ContextVar[_Measured | None] = ContextVar("supertester.telemetry.measured", default=None)
"""What is being measured here, which a span would make dearer."""


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
        _as_metrics(EVENTS[event.name], event.measurements, event.metadata.get(TEST_ID))


def _as_log(event: TelemetryEvent, attributes: dict[str, Any]) -> None:
    from opentelemetry._logs import LogRecord, SeverityNumber, get_logger

    record = LogRecord(
        body=event.name, attributes=attributes, event_name=event.name, severity_number=SeverityNumber.INFO
    )
    get_logger("supertester").emit(record)


def _as_metrics(spec: EventSpec, measurements: Mapping[str, Any], test_id: Any) -> None:
    from opentelemetry import metrics

    test = {} if test_id is None else {TEST_ID: test_id}
    for key, value in measurements.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key in spec.measurements:
            name = f"{PREFIX}{spec.name}.{key}"
            if name not in _histograms:
                _histograms[name] = metrics.get_meter("supertester").create_histogram(name)
            _histograms[name].record(value, test)


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* as OpenTelemetry takes them: its own types as they are, everything else as text."""
    return {
        str(key): value if isinstance(value, (str, bool, float)) or _is_int64(value) else shown(value)
        for key, value in values.items()
        if value is not None
    }


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


@contextmanager
def span(name: str, attributes: Mapping[str, Any] | None = None, *, current: bool = True) -> Iterator[Any]:
    """Make the body of the ``with`` a span of OpenTelemetry, tagged with the running test.

    Args:
        name: Dotted; ``"supertester."`` is put before it.
        attributes: For the span; values that OpenTelemetry does not take are given as text.
        current: Whether it is the current span in the body, and so the parent of those that the body makes.

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

    tagged, tracer = _attributes(_tagged(attributes)), trace.get_tracer("supertester")
    start = tracer.start_as_current_span if current else tracer.start_span
    with _Unfailing(functools.partial(start, PREFIX + name, attributes=tagged)) as made:
        yield made


class _Unfailing:
    """Starts and ends a span, and keeps to itself what the application's telemetry raises, as `emit` does."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._span: Any = None

    def __enter__(self) -> Any:
        with suppress(Exception):
            self._span = self._start()
            return self._span.__enter__()
        return None

    def __exit__(self, *error: Any) -> None:
        if self._span is not None:
            with suppress(Exception):
                self._span.__exit__(*error)


@contextmanager
def told(
    name: str, given: Mapping[str, Any], *, current: bool = True, quiet: bool = False
) -> Iterator[Callable[[Any], None]]:
    """Make the body of the ``with`` one of the spans of `SPANS`, whose numbers are metrics, too.

    Args:
        name: As `SPANS` has it; its attributes are those that are named there.
        given: What is known of them before.
        current: As for `span`.
        quiet: Make none of these spans in the body, and in what is started by it: that is being measured, and they
            would be measured with it.

    Yields:
        What takes the report, in whose attributes the rest is.
    """
    measured = _measured.get()
    if "opentelemetry.trace" not in sys.modules or (measured is not None and measured.is_on):
        yield lambda _: None
        return
    spec = SPANS[PREFIX + name]
    with span(name, {key: _readable(given.get(key)) for key in spec.metadata}, current=current) as made:
        if not quiet:
            yield functools.partial(_tell, made, spec)
            return
        measured = _Measured()
        before = _measured.set(measured)
        try:
            yield functools.partial(_tell, made, spec)
        finally:
            measured.is_on = False
            with suppress(ValueError):  # The coroutine is being closed from elsewhere.
                _measured.reset(before)


def _readable(value: Any) -> Any:
    return describe(value) if inspect.isroutine(value) else value


def _tell(made: Any, spec: EventSpec, report: Any) -> None:
    """Put into the span what *report* says, and record the numbers."""
    before, _state.busy = is_emitting(), True  # A test sees the span, and so has no need of the metrics.
    try:
        found: dict[str, Any] = {key: getattr(report, key, None) for key in (*spec.measurements, *spec.metadata)}
        numbers = {key: len(found[key]) if isinstance(found[key], Sized) else found[key] for key in spec.measurements}
        if made.is_recording():  # It is not if it is sampled out; the metrics are none of that.
            made.set_attributes(_attributes({**found, **numbers}))
        _as_metrics(spec, numbers, _tagged(None).get(TEST_ID))
    except Exception:  # noqa: BLE001 - as in `emit`
        pass
    finally:
        _state.busy = before


def spanned(
    name: str, *, current: bool = True, quiet: bool = False
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Return a decorator: each call of an async function is `told`, with its arguments and what it returns."""

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            work = function(*args, **kwargs)
            if "opentelemetry.trace" not in sys.modules:
                return await work
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()
            with told(name, bound.arguments, current=current, quiet=quiet) as tell:
                report = await work
                tell(report)
                return report

        return call

    return decorate
