"""From the signals of OpenTelemetry to events, by its public interfaces.

One span processor and one log record processor serve the process. They are added to the application's own providers,
whenever it sets them. Where it has set none, its spans would be thrown away; then a provider of ours makes them, and
everything that the application can ask for stays as it is. For metrics see `instruments`.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet

from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from supertester._core.exploring import served_by_nobody
from supertester._core.replacing import Undo, replace_attribute
from supertester.telemetry import instruments
from supertester.telemetry.emission import is_emitting
from supertester.telemetry.events import PREFIX, TelemetryEvent
from supertester.telemetry.spans import event_of_log, event_of_span, events_of_span, plain_span

__all__ = ["Tap", "adopt_providers", "forget", "install", "replace_tap"]

_MOST_TRACES = 10_000
_logger = logging.getLogger(__name__)


class Tap(Protocol):
    """Who gets the events."""

    def owner(self) -> object | None:
        """Return whom the present code belongs to, or ``None``."""

    def deliver(self, event: TelemetryEvent, owner: object | None, plain: dict[str, Any] | None = None) -> None:
        """Take *event* for *owner*; *plain* is the whole span if it is one. Called from any thread."""


_tap: Tap | None = None
_known: WeakSet[Any] = WeakSet()
"""The providers that have our processors: there is no way to take them out again, so they are never added twice."""
_spans: dict[int, tuple[trace.SpanContext, object]] = {}
"""Whose the spans are that have begun and not ended, by the identity of their contexts: not by their ids, which are
drawn from ``random`` and equal in tests that draw from the same seed."""
_traces: dict[int, object] = {}
"""Whose the latest traces are, for spans of code that knows the trace but not the test."""


def install(tap: Tap) -> Undo:
    """Let *tap* have what OpenTelemetry's signals carry; return a function that ends that."""
    replace_tap(tap)
    undos = [
        replace_attribute(trace, "set_tracer_provider", _adopting(trace.set_tracer_provider)),
        replace_attribute(_logs, "set_logger_provider", _adopting(_logs.set_logger_provider)),
        replace_attribute(trace.NoOpTracer, "start_span", _recording(trace.NoOpTracer, "start_span")),
        replace_attribute(
            trace.NoOpTracer, "start_as_current_span", _recording(trace.NoOpTracer, "start_as_current_span")
        ),
        replace_attribute(_logs.NoOpLogger, "emit", _reporting(_logs.NoOpLogger.emit)),
        instruments.install(_measured),
    ]
    adopt_providers()

    def undo() -> None:
        for each in reversed(undos):
            each()
        replace_tap(None)

    return undo


def replace_tap(tap: Tap | None) -> None:
    """Let *tap* have what the hooks see, in the place of whoever had it."""
    global _tap  # noqa: PLW0603 - the processors of a provider stay in it, and ask here whether they still serve anybody
    _tap = tap
    _spans.clear()
    _traces.clear()


def forget(owner: object) -> None:
    """Forget the spans of *owner*, which get nowhere now."""
    for span in [span for span, (_, value) in _spans.copy().items() if value is owner]:
        _spans.pop(span, None)
    for number in [number for number, value in _traces.copy().items() if value is owner]:
        _traces.pop(number, None)


def adopt_providers() -> None:
    """Add our processors to the providers that the application has set by now."""
    _adopt(trace.get_tracer_provider(), "add_span_processor", _Spans)
    _adopt(_logs.get_logger_provider(), "add_log_record_processor", _Logs)


def _adopt(provider: Any, method: str, processor: Callable[[], object]) -> None:
    add = getattr(provider, method, None)
    if add is not None and provider not in _known:
        _known.add(provider)
        add(processor())


def _adopting(previous: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(previous)
    def set_provider(provider: Any) -> None:
        previous(provider)
        adopt_providers()

    return set_provider


def _harmless(told: Callable[..., None]) -> Callable[..., None]:
    """Keep from the code under test what goes wrong when it is told of, e.g. attributes that are none."""

    @functools.wraps(told)
    def tell(*args: Any, **kwargs: Any) -> None:
        try:
            told(*args, **kwargs)
        except Exception:
            _logger.debug("telemetry that cannot be read", exc_info=True)

    return tell


# Spans ---------------------------------------------------------------------------------------------------------------


class _Spans(SpanProcessor):
    @_harmless
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if _tap is None:
            return
        identity, owner = span.get_span_context(), _tap.owner()
        if owner is None:
            owner = _traces.get(identity.trace_id)
        elif span.parent is None:
            # A trace that began before the test is not the test's, though parts of it may be.
            _traces[identity.trace_id] = owner
            if len(_traces) > _MOST_TRACES:
                _traces.pop(next(iter(_traces)), None)
        if owner is not None:
            _spans[id(identity)] = (identity, owner)

    @_harmless
    def on_end(self, span: ReadableSpan) -> None:
        identity = span.get_span_context()
        if _tap is None or identity is None:
            return
        _, owner = _spans.pop(id(identity), (None, None))
        plain = plain_span(span)
        for event in events_of_span(plain):
            if not event.name.startswith(PREFIX):  # `emit` has told of those.
                _tap.deliver(event, owner)
        _tap.deliver(event_of_span(plain), owner, plain)


class _Ids(IdGenerator):
    """Draws ids, but not from ``random``: without us nobody would, and the code under test would draw other numbers."""

    def generate_span_id(self) -> int:
        return secrets.randbits(64) or 1

    def generate_trace_id(self) -> int:
        return secrets.randbits(128) or 1


@functools.cache
def _own_tracer() -> trace.Tracer:
    with served_by_nobody():  # It starts threads, to find out where it is.
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False, id_generator=_Ids())
    _adopt(provider, "add_span_processor", _Spans)
    return provider.get_tracer("supertester")


def _recording(holder: Any, name: str) -> Callable[..., Any]:
    """Return the method *name* of a tracer that does nothing, which does something where nobody else would."""
    previous = getattr(holder, name)

    @functools.wraps(previous)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _tap is None or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return previous(self, *args, **kwargs)
        tracer = _own_tracer()
        if isinstance(tracer, trace.NoOpTracer):  # The SDK is disabled by the environment.
            return previous(self, *args, **kwargs)
        return getattr(tracer, name)(*args, **kwargs)

    return method


# Logs ----------------------------------------------------------------------------------------------------------------


class _Logs(LogRecordProcessor):
    @_harmless
    def on_emit(self, log_record: Any) -> None:
        scope = log_record.instrumentation_scope
        _logged(log_record.log_record, scope.name if scope is not None else "")

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _reporting(previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def emit(self: Any, record: Any = None, **fields: Any) -> None:
        previous(self, record, **fields)
        if hasattr(_logs.get_logger_provider(), "add_log_record_processor"):
            return  # The application has a provider, and this logger is meant to do nothing.
        _logged(_logs.LogRecord(**fields) if record is None else record, "")

    return emit


@_harmless
def _logged(record: Any, scope: str) -> None:
    if _tap is not None and not is_emitting():
        _tap.deliver(event_of_log(record, scope), _owner_of(record))


def _owner_of(record: Any) -> object | None:
    assert _tap is not None
    owner = _tap.owner()
    return _traces.get(record.trace_id) if owner is None else owner


# Metrics -------------------------------------------------------------------------------------------------------------


@_harmless
def _measured(event: TelemetryEvent) -> None:
    if _tap is not None and not is_emitting():
        _tap.deliver(event, _tap.owner())
