"""What an event is, and the list of those that the library emits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["EVENTS", "KINDS", "PREFIX", "TEST_ID", "EventSpec", "TelemetryEvent"]

PREFIX: Final = "supertester."
"""What the names of the library's own events begin with."""
TEST_ID: Final = "supertester.test_id"
"""The key under which the metadata of an event says which test it belongs to."""
KINDS: Final = ("span", "span_event", "metric", "log", "event")


@dataclass(frozen=True)
class TelemetryEvent:
    """Something that was observed in a test.

    Attributes:
        name: Of the span, the event or the instrument; of a log record its event name, or else that of its logger.
        measurements: Numbers: the ``duration_ms`` of a span, the ``value`` that an instrument recorded, or what was
            given to `emit`.
        metadata: Attributes, and under ``"supertester.test_id"`` the test.
        kind: ``"span"``, ``"span_event"``, ``"metric"``, ``"log"``, or ``"event"`` for what was given to `emit`.
    """

    name: str
    measurements: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "event"

    def __str__(self) -> str:
        shown = {name: value for name, value in self.metadata.items() if name != TEST_ID}
        parts = [self.kind, self.name]
        parts += [repr(dict(part)) for part in (self.measurements, shown) if part]
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain dicts, JSON-ready if its measurements and metadata are."""
        return {
            "name": self.name,
            "measurements": dict(self.measurements),
            "metadata": dict(self.metadata),
            "kind": self.kind,
        }


@dataclass(frozen=True)
class EventSpec:
    """What is known about one of the library's own events.

    ``name`` is without the prefix; ``measurements`` and ``metadata`` name what it carries besides the id of the test.
    """

    name: str
    measurements: tuple[str, ...]
    metadata: tuple[str, ...]
    description: str


EVENTS: Final[Mapping[str, EventSpec]] = {
    PREFIX + spec.name: spec
    for spec in (
        EventSpec("concurrent.scenario.start", ("system_time_us",), ("scenario_id",), "a scenario begins"),
        EventSpec("concurrent.scenario.stop", ("duration_ms", "status"), ("scenario_id", "error"), "a scenario ended"),
        EventSpec(
            "concurrent.mailbox.sample",
            ("initial_size", "final_size", "max_size", "avg_size"),
            ("scenario_id",),
            "the mailbox of a scenario's subject, once per run",
        ),
        EventSpec("chaos.start", (), ("scenario_id",), "chaos begins"),
        EventSpec("chaos.stop", ("duration_ms",), ("scenario_id", "error"), "chaos ended"),
        EventSpec(
            "performance.scenario.measured",
            ("time_us", "memory_bytes", "reductions"),
            ("scenario_id",),
            "a scenario was measured",
        ),
        EventSpec("telemetry.handler.attached", (), ("handler_id", "events"), "a handler was attached"),
        EventSpec("telemetry.handler.detached", (), ("handler_id",), "a handler was detached"),
        EventSpec("telemetry.event.delivered", ("count",), ("event", "handler_id"), "a handler accepted an event"),
        EventSpec(
            "telemetry.event.filtered",
            ("count",),
            ("event", "event_test_id", "handler_id"),
            "a handler refused an event of a name that it listens to",
        ),
        EventSpec("logger.isolation.setup", (), (), "the logs of a test were isolated"),
        EventSpec("logger.level.set", (), ("level", "logger"), "a test set its log level"),
        EventSpec("logger.level.restored", (), ("logger",), "a test gave its log level back"),
        EventSpec("ets.isolation.setup", (), (), "the tables of a test were isolated"),
        EventSpec("ets.table.created", (), ("table", "type"), "a table was created"),
        EventSpec("ets.table.mirrored", ("row_count",), ("source", "mirror"), "a table was mirrored"),
        EventSpec("ets.table.injected", (), ("module", "attribute", "table"), "a table replaced an attribute"),
        EventSpec("ets.table.deleted", (), ("table",), "a table was deleted"),
        EventSpec("ets.cleanup.complete", ("tables_deleted",), (), "the tables of a test are gone"),
    )
}
"""The events that the library emits, by their whole names."""
