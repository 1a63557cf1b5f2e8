"""What an event is, and the lists of the events and spans of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["EVENTS", "KINDS", "PREFIX", "SPANS", "TEST_ID", "EventSpec", "TelemetryEvent"]

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
    """What is known about one of the library's own events or spans.

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

SPANS: Final[Mapping[str, EventSpec]] = {
    PREFIX + spec.name: spec
    for spec in (
        EventSpec("concurrent.scenario", (), ("scenario_id",), "a scenario, its cleanup included"),
        EventSpec(
            "chaos.kill_children",
            ("killed", "restarted", "duration_ms"),
            ("kill_rate", "kill_interval_ms", "kill_reason", "supervisor_crashed", "seed"),
            "children of a supervisor are killed",
        ),
        EventSpec(
            "chaos.crash", (), ("target", "spec", "signal", "fired", "died", "seed"), "a process gets an exit signal"
        ),
        EventSpec("chaos.kill_worker", (), ("pool", "signal", "died", "seed"), "a worker of a pool is killed"),
        EventSpec(
            "chaos.suite", ("total_scenarios", "passed", "failed", "duration_ms"), ("target", "seed"), "a chaos suite"
        ),
        EventSpec("chaos.resilience", ("recovery_ms",), ("system", "recovered"), "chaos, and how a system got over it"),
        EventSpec("chaos.recovery", ("recovery_ms",), ("system", "recovered"), "a part is killed and replaced"),
        EventSpec(
            "chaos.exhaustion",
            ("taken",),
            ("resource", "unit", "wanted", "limit", "reached_limit"),
            "a resource is taken away",
        ),
        EventSpec("chaos.pause", (), ("target", "active"), "a target stands still"),
        EventSpec("chaos.corrupt_state", (), ("target",), "a server has a wrong state"),
        EventSpec("chaos.limit_resources", (), ("target", "limited"), "a process has limits"),
        EventSpec("chaos.small_disk", ("size",), ("folder",), "a small disk is there"),
        EventSpec("chaos.network_proxy", (), ("host", "port", "seed"), "a network proxy is on"),
        EventSpec("chaos.message_fault", ("hits",), ("fault", "target", "seed"), "a fault of messages is on"),
        EventSpec("chaos.failing_workers", ("hits",), ("target", "seed"), "attempts of workers fail"),
        EventSpec(
            "performance.measure_operation",
            ("time_us", "cpu_us", "memory_bytes", "peak_memory_bytes", "reductions"),
            ("fn", "once"),
            "an operation is measured",
        ),
        EventSpec(
            "performance.probe_performance", (), ("fn", "verdict", "reason"), "an operation is held to its bounds"
        ),
        EventSpec(
            "performance.probe_regression",
            (),
            ("fn", "by", "verdict", "reason"),
            "an operation is held to its baseline",
        ),
        EventSpec(
            "performance.probe_memory_leak",
            (),
            ("fn", "iterations", "leaking", "kind"),
            "an operation is searched for a leak",
        ),
        EventSpec(
            "performance.measure_memory_usage",
            ("before_bytes", "kept_bytes"),
            ("fn",),
            "what an operation keeps is measured",
        ),
        EventSpec("performance.compare_performance", (), ("reference",), "operations are compared"),
        EventSpec(
            "performance.benchmark",
            ("min", "max", "mean", "median", "p95", "p99"),
            ("fn", "iterations"),
            "an operation runs again and again",
        ),
        EventSpec(
            "performance.measure_mailbox_growth",
            ("initial_size", "final_size", "max_size", "avg_size"),
            ("server", "fn"),
            "a mailbox is watched",
        ),
        EventSpec(
            "performance.run_load",
            ("operations", "succeeded", "success_rate", "throughput", "p50_ms", "p95_ms", "p99_ms"),
            ("operation", "users", "rate", "duration", "valid"),
            "a system is under load",
        ),
    )
}
"""The spans that the library makes where OpenTelemetry is used, by their whole names."""
