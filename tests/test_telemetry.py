from __future__ import annotations

import unittest

from supertester import telemetry
from supertester.telemetry import EVENTS, TEST_ID, TelemetryEvent, emission
from tests.project.support import ROOT, run_python


class TestEmit(unittest.TestCase):
    def setUp(self) -> None:
        self.seen: list[TelemetryEvent] = []
        self.listen(self.hear)

    def hear(self, event: TelemetryEvent) -> None:
        if event.metadata.get("of") == self.id():
            self.seen.append(event)

    def listen(self, listener: emission.Listener) -> None:
        emission.add_listener(listener)
        self.addCleanup(emission.remove_listener, listener)

    def test_reaches_a_listener_with_the_prefix(self) -> None:
        telemetry.emit("chaos.stop", {"duration_ms": 3}, {"of": self.id()})
        [event] = self.seen
        self.assertEqual(
            (event.name, event.measurements, event.kind), ("supertester.chaos.stop", {"duration_ms": 3}, "event")
        )

    def test_an_explicit_id_wins(self) -> None:
        telemetry.emit("chaos.start", metadata={"of": self.id(), TEST_ID: "mine"})
        self.assertEqual(self.seen[0].metadata[TEST_ID], "mine")

    def test_never_raises_into_the_caller(self) -> None:
        def fail(event: TelemetryEvent) -> None:
            raise OSError("no")

        emission.remove_listener(self.hear)
        self.listen(fail)
        self.listen(self.hear)
        telemetry.emit("chaos.start", {}, {"of": self.id()})
        telemetry.emit("chaos.start", 3, 4)  # type: ignore[arg-type]
        self.assertEqual(len(self.seen), 1)

    def test_events_about_events_do_not_recurse(self) -> None:
        def again(event: TelemetryEvent) -> None:
            telemetry.emit("telemetry.event.delivered", {"count": 1}, {"of": self.id()})

        self.listen(again)
        telemetry.emit("chaos.start", {}, {"of": self.id()})
        self.assertEqual([event.name for event in self.seen], ["supertester.chaos.start"])

    def test_a_listener_that_is_removed_hears_nothing(self) -> None:
        emission.remove_listener(self.hear)
        telemetry.emit("chaos.start", {}, {"of": self.id()})
        self.assertEqual(self.seen, [])

    def test_somebody_hears(self) -> None:
        self.assertTrue(telemetry.is_heard())


class TestEvents(unittest.TestCase):
    def test_the_list_has_all_of_them(self) -> None:
        self.assertEqual(len(EVENTS), 19)
        for name, spec in EVENTS.items():
            self.assertEqual(name, "supertester." + spec.name)
            self.assertTrue(spec.description)

    def test_the_reference_has_the_same_list(self) -> None:
        page = (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8")
        for name, spec in EVENTS.items():
            measurements, metadata = (", ".join(each) or "(none)" for each in (spec.measurements, spec.metadata))
            self.assertIn(f"| `{name}` | {measurements} | {metadata} |", page)

    def test_an_event_as_text_and_as_dict(self) -> None:
        event = TelemetryEvent("a", {"n": 1}, {"k": 2, TEST_ID: "t"})
        self.assertEqual(str(event), "event a {'n': 1} {'k': 2}")
        self.assertEqual(event.to_dict()["metadata"], {"k": 2, TEST_ID: "t"})


class TestWithoutOpenTelemetry(unittest.TestCase):
    def test_nothing_of_it_is_imported(self) -> None:
        code = (
            "import sys\nfrom supertester import telemetry\ntelemetry.emit('chaos.start')\n"
            "with telemetry.span('chaos') as span: assert span is None\n"
            "assert not telemetry.is_heard()\n"
            "print([name for name in sys.modules if name.startswith('opentelemetry')])"
        )
        self.assertEqual(run_python(code).strip(), "[]")


APPLICATION = """
from opentelemetry import trace, metrics, _logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk import _logs as sdk_logs
from opentelemetry.sdk._logs import export

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracer_provider)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
logs = (getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter)()
logger_provider = sdk_logs.LoggerProvider()
logger_provider.add_log_record_processor(export.SimpleLogRecordProcessor(logs))
_logs.set_logger_provider(logger_provider)
"""


class TestWithOpenTelemetry(unittest.TestCase):
    def test_an_exporter_of_the_application_shows_the_events(self) -> None:
        code = APPLICATION + (
            "from supertester import telemetry\n"
            "with telemetry.span('chaos', {'kill_rate': 0.3, 'what': [object]}):\n"
            "    telemetry.emit('chaos.stop', {'duration_ms': 7}, {'scenario_id': 1})\n"
            "telemetry.emit('chaos.start')\n"
            "[span] = spans.get_finished_spans()\n"
            "print(span.name, span.attributes['kill_rate'], [(e.name, dict(e.attributes)) for e in span.events])\n"
            "print([each.log_record.event_name for each in logs.get_finished_logs()])\n"
            "print([m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics"
            " for m in s.metrics if m.name.startswith('supertester')])\n"
        )
        self.assertEqual(
            run_python(code).splitlines(),
            [
                "supertester.chaos 0.3 [('supertester.chaos.stop', {'duration_ms': 7, 'scenario_id': 1})]",
                "['supertester.chaos.start']",
                "['supertester.chaos.stop.duration_ms']",
            ],
        )
