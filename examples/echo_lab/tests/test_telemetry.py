"""`self.telemetry` and `supertester.telemetry`: spans, metrics and events of one test."""

from __future__ import annotations

import dataclasses
import multiprocessing
from contextvars import Context

from echo_lab.till import Till

from supertester import IsolatedTestCase, tag, telemetry
from supertester.telemetry import EVENTS, TEST_ID, TelemetryEvent
from supertester.testing import failure_of


class TestHelpers(IsolatedTestCase, telemetry=True):
    async def test_the_id_of_a_test_and_its_metadata_agree(self) -> None:
        """The id of the test is the one in the metadata of its events."""
        self.assertEqual(self.telemetry.test_id, self.isolation.test_id)
        self.assertEqual(self.telemetry.metadata({"n": 1}), {"n": 1, TEST_ID: self.telemetry.test_id})

    async def test_a_handler_gets_the_events_of_the_test(self) -> None:
        """An attached handler delivers what the test's own code emits."""
        self.telemetry.attach("lab.opened")
        self.telemetry.emit("lab.opened", {"count": 1}, {"door": "front"})
        event = await self.assert_telemetry("lab.opened", {"door": "front", TEST_ID: self.telemetry.test_id})
        self.assertEqual(event.measurements, {"count": 1})

    async def test_events_of_nobody_can_pass_and_be_transformed(self) -> None:
        """With passthrough an event without a test is delivered, here transformed; one of another test never is."""

        def mark(event: TelemetryEvent) -> TelemetryEvent:
            return dataclasses.replace(event, metadata={**event.metadata, "passed": True})

        self.telemetry.attach("supertester.chaos.start", passthrough=True, transform=mark)
        Context().run(telemetry.emit, "chaos.start", {"n": 1})
        Context().run(telemetry.emit, "chaos.start", {"n": 2}, {TEST_ID: "another"})
        event = await self.assert_telemetry("supertester.chaos.start", {"passed": True})
        self.assertEqual(event.measurements, {"n": 1})
        await self.assert_telemetry_count("supertester.chaos.start", 1)

    async def test_counting_and_refuting(self) -> None:
        """Events are counted exactly, and what must not happen is refuted."""
        self.telemetry.emit("lab.tick", {"n": 1})
        self.telemetry.emit("lab.tick", {"n": 2})
        events = await self.assert_telemetry_count("lab.tick", 2)
        self.assertEqual([event.measurements["n"] for event in events], [1, 2])
        await self.refute_telemetry("lab.tock", timeout=0.01)

    async def test_flushing_and_capturing(self) -> None:
        """Flushing takes what is there; capturing collects what a block does."""
        self.telemetry.attach("lab.tick")
        self.telemetry.emit("lab.tick")
        self.assertEqual(len(self.telemetry.flush("all")), 1)
        with self.telemetry.capture("lab.tick") as events:
            self.telemetry.emit("lab.tick")
        self.assertEqual(len(events), 1)

    def test_a_failure_says_what_there_was_instead(self) -> None:
        """A failed assertion shows the events that were seen, the nearest first."""

        async def body(case: IsolatedTestCase) -> None:
            case.telemetry.emit("lab.opened", {"count": 1})
            await case.assert_telemetry("lab.opend", timeout=0)

        report = failure_of(body)
        self.assertIn("no telemetry event 'lab.opend' so far; seen, nearest first:\n  1. event lab.opened", report)


class TestLibraryEvents(IsolatedTestCase, telemetry=True):
    async def test_all_of_them_arrive_under_the_prefix(self) -> None:
        """Each event of the library arrives with its prefix and the id of the test."""
        for name, spec in EVENTS.items():
            self.telemetry.attach(name)
            telemetry.emit(spec.name, {"count": 1})
            await self.assert_telemetry(name, {TEST_ID: self.telemetry.test_id}, timeout=0)

    @tag(telemetry_events=["supertester.concurrent.scenario.stop"])
    async def test_a_tag_attaches_them(self) -> None:
        """The tag ``telemetry_events`` attaches a handler for the test."""
        telemetry.emit("concurrent.scenario.stop", {"duration_ms": 3}, {"scenario_id": 1})
        await self.assert_telemetry("supertester.concurrent.scenario.stop", {"scenario_id": 1})


class TestApplication(IsolatedTestCase, telemetry=True):
    async def test_what_a_server_tells_belongs_to_the_test_that_started_it(self) -> None:
        """Spans, their events and metrics of a server reach the test, in the order in which they end."""
        till = await self.setup_isolated_genserver(Till)
        self.assertEqual(await till.call(("sell", "tea", 2)), 2)
        sold = await self.assert_telemetry("echo_lab.sold", {"drink": "tea"})
        self.assertEqual((sold.kind, sold.measurements), ("metric", {"value": 2}))
        await self.assert_telemetry("echo_lab.round", {"glasses": 2})
        await self.assert_telemetry("echo_lab.sale", {"drink": "tea"})

    async def test_spans_as_they_are_in_every_run(self) -> None:
        """A snapshot has ids and times that never differ."""
        till = await self.setup_isolated_genserver(Till)
        await till.call(("sell", "tea", 1))
        await till.call(("sell", "coffee", 1))
        seen = [(span["name"], span["span_id"], span["attributes"]["drink"]) for span in self.telemetry.snapshot()]
        self.assertEqual(seen, [("echo_lab.sale", 1, "tea"), ("echo_lab.sale", 2, "coffee")])

    async def test_a_child_process(self) -> None:
        """What a child process does belongs to the test that started it."""
        child = multiprocessing.get_context("spawn").Process(target=open_in_a_process)
        child.start()
        await self.assert_telemetry("supertester.chaos.start", {"door": "back"}, timeout=30)
        child.join()
        child.close()


def open_in_a_process() -> None:
    """Be a child process."""
    telemetry.connect()
    telemetry.emit("chaos.start", {}, {"door": "back"})
