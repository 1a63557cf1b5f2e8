"""What reaches a test of the telemetry of its own code, and of no other's."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import importlib
import random
import sys
import threading
import unittest
import unittest.mock
from typing import Any

from opentelemetry import _logs, metrics, trace

from supertester import telemetry
from supertester.case import IsolatedTestCase, tag
from supertester.errors import UsageError, WaitTimeout
from supertester.isolation import isolate, uninstall
from supertester.isolation.telemetry import inbox as inboxes
from supertester.isolation.telemetry.routing import ROUTER
from supertester.telemetry import TEST_ID, TelemetryEvent
from supertester.testing import failure_of, inner_case, run_inner
from tests.alone import alone

tracer = trace.get_tracer("tests")  # Before any test has begun, as applications do it.
meter = metrics.get_meter("tests")
orders = meter.create_counter("Orders", unit="1")
level = meter.create_up_down_counter("level")
sizes = meter.create_histogram("sizes")
heat = meter.create_gauge("heat")
logger = _logs.get_logger("tests.logger")


@tracer.start_as_current_span("decorated")
def decorated() -> None:
    trace.get_current_span().add_event("inside", {"n": 1})


def names(events: Any) -> list[str]:
    return [event.name for event in events]


class TestSignals(IsolatedTestCase):
    async def test_spans_and_their_events(self) -> None:
        with tracer.start_as_current_span("outer", attributes={"n": 1, "list": ["a"]}) as outer:
            outer.add_event("happened", {"k": "v"})
            tracer.start_span("inner").end()
        inner, happened, span = self.telemetry.events
        self.assertEqual((span.name, span.kind, span.metadata["n"], span.metadata["list"]), ("outer", "span", 1, ["a"]))
        self.assertGreaterEqual(span.measurements["duration_ms"], 0)
        self.assertEqual(inner.metadata["otel.parent_id"], span.metadata["otel.span_id"])
        self.assertEqual((happened.kind, happened.metadata["k"]), ("span_event", "v"))
        self.assertEqual({event.metadata[TEST_ID] for event in self.telemetry.events}, {self.isolation.test_id})

    async def test_a_span_that_failed(self) -> None:
        with self.assertRaises(OSError), tracer.start_as_current_span("failing"):
            raise OSError("no")
        error, span = self.telemetry.events
        self.assertEqual((error.name, error.metadata["exception.type"]), ("exception", "OSError"))
        self.assertEqual(span.metadata["otel.status_code"], "ERROR")
        self.assertIn("no", span.metadata["otel.status_description"])

    async def test_a_function_that_was_decorated_before_any_test(self) -> None:
        decorated()
        self.assertEqual(names(self.telemetry.events), ["inside", "decorated"])

    async def test_metrics_of_instruments_that_were_made_before_any_test(self) -> None:
        orders.add(2, {"fruit": "apple"})
        level.add(-1)
        sizes.record(3.5)
        heat.set(20)
        seen = [(event.name, event.measurements["value"], event.kind) for event in self.telemetry.events]
        self.assertEqual(
            seen, [("orders", 2, "metric"), ("level", -1, "metric"), ("sizes", 3.5, "metric"), ("heat", 20, "metric")]
        )
        first = self.telemetry.events[0].metadata
        self.assertEqual((first["fruit"], first["otel.unit"]), ("apple", "1"))

    async def test_what_an_instrument_refuses_is_no_event(self) -> None:
        orders.add(-2)
        self.assertEqual(self.telemetry.events, [])

    async def test_drawing_ids_does_not_change_what_the_code_under_test_draws(self) -> None:
        random.seed(1)
        expected = random.random()
        random.seed(1)
        tracer.start_span("a").end()
        self.assertEqual(random.random(), expected)

    async def test_what_cannot_be_read_does_not_break_the_code_that_is_told_of(self) -> None:
        orders.add(1, 3)  # type: ignore[arg-type]
        orders.add("1")  # type: ignore[arg-type]
        logger.emit(_logs.LogRecord(attributes=3))  # type: ignore[arg-type]
        self.assertEqual(names(self.telemetry.events), ["orders"])

    async def test_observable_instruments_are_made_and_tell_nothing(self) -> None:
        meter.create_observable_counter("observed.counter", [lambda _: []])
        meter.create_observable_gauge("observed.gauge", [lambda _: []])
        meter.create_observable_up_down_counter("observed.level", [lambda _: []])
        self.assertEqual(self.telemetry.events, [])

    async def test_log_events(self) -> None:
        logger.emit(_logs.LogRecord(event_name="order.placed", body="apple", attributes={"n": 1}))
        logger.emit(_logs.LogRecord(body="warned", severity_number=_logs.SeverityNumber.WARN))
        placed, warned = self.telemetry.events
        self.assertEqual((placed.name, placed.kind, placed.metadata["body"]), ("order.placed", "log", "apple"))
        self.assertEqual(placed.metadata["n"], 1)
        self.assertEqual((warned.metadata["body"], warned.metadata["severity"]), ("warned", "WARN"))

    async def test_events_of_the_library_are_tagged_and_come_once(self) -> None:
        with telemetry.span("chaos"):
            telemetry.emit("chaos.stop", {"duration_ms": 1}, {"scenario_id": 7})
        telemetry.emit("chaos.start")
        self.assertEqual(
            [(event.name, event.kind) for event in self.telemetry.events],
            [("supertester.chaos.stop", "event"), ("supertester.chaos", "span"), ("supertester.chaos.start", "event")],
        )
        self.assertEqual({event.metadata[TEST_ID] for event in self.telemetry.events}, {self.isolation.test_id})

    async def test_tasks_threads_and_executor_jobs(self) -> None:
        async def task() -> None:
            with tracer.start_as_current_span("task"):
                await asyncio.sleep(0)

        await asyncio.create_task(task())
        thread = threading.Thread(target=lambda: tracer.start_span("thread").end())
        thread.start()
        thread.join()
        await asyncio.get_running_loop().run_in_executor(None, lambda: tracer.start_span("job").end())
        self.assertEqual(names(self.telemetry.events), ["task", "thread", "job"])

    async def test_a_span_belongs_to_whose_code_began_it(self) -> None:
        span = tracer.start_span("handed over")
        contextvars.Context().run(span.end)
        self.assertEqual(names(self.telemetry.events), ["handed over"])

    async def test_code_that_knows_the_trace_but_not_the_test(self) -> None:
        with tracer.start_as_current_span("request") as request:
            parent = trace.set_span_in_context(request)
        contextvars.Context().run(lambda: tracer.start_span("far away", context=parent).end())
        self.assertEqual(names(self.telemetry.events), ["request", "far away"])

    async def test_what_belongs_to_no_test_is_not_here(self) -> None:
        contextvars.Context().run(lambda: tracer.start_span("nobody's").end())
        await self.refute_telemetry("nobody's", timeout=0)

    def test_in_a_plain_test(self) -> None:
        orders.add(1)
        self.assertEqual(names(self.telemetry.events), ["orders"])


class TestHandlers(IsolatedTestCase):
    async def test_attach_takes_own_events(self) -> None:
        handler = self.telemetry.attach(["a", "b.*"])
        for name in ("a", "b.c", "other"):
            self.telemetry.emit(name)
        self.assertEqual(names(self.telemetry.flush(handler)), ["a", "b.c"])
        self.assertEqual(names(self.telemetry.events), ["other"])
        self.assertIn(f"supertester-telemetry-{self.telemetry.test_id}-", handler.id)

    async def test_passthrough_takes_what_belongs_to_no_test_but_nothing_of_others(self) -> None:
        self.telemetry.attach("mine or nobody's", passthrough=True)
        contextvars.Context().run(ROUTER.heard, TelemetryEvent("mine or nobody's", {"n": 1}))
        self.telemetry.emit("mine or nobody's", {"n": 2}, {TEST_ID: "another"})
        self.telemetry.emit("mine or nobody's", {"n": 3})
        self.assertEqual([event.measurements["n"] for event in self.telemetry.events], [1, 3])

    async def test_passthrough_takes_nothing_that_another_test_knows_by_a_key_of_its_own(self) -> None:
        self.telemetry.attach("claimed", passthrough=True)
        async with isolate("full_isolation") as other:
            other.feature("telemetry").attach("claimed", filter_key="request.test")
            for n, id in enumerate((other.test_id, "nobody's")):
                contextvars.Context().run(ROUTER.heard, TelemetryEvent("claimed", {"n": n}, {"request.test": id}))
            self.assertEqual([event.measurements["n"] for event in other.feature("telemetry").events], [0])
        self.assertEqual([event.measurements["n"] for event in self.telemetry.events], [1])

    async def test_filter_key(self) -> None:
        self.telemetry.attach("a", filter_key="request.test")
        self.telemetry.emit("a", {"n": 1})
        self.telemetry.emit("a", {"n": 2}, {"request.test": "another"})
        self.telemetry.emit("a", {"n": 3}, {"request.test": self.telemetry.test_id})
        contextvars.Context().run(ROUTER.heard, TelemetryEvent("a", {"n": 4}, {"request.test": self.telemetry.test_id}))
        self.assertEqual([event.measurements["n"] for event in self.telemetry.events], [3, 4])
        await self.assert_telemetry("a", {"request.test": self.telemetry.test_id}, timeout=0)

    async def test_buffer(self) -> None:
        handler = self.telemetry.attach("a", buffer=True)
        self.telemetry.emit("a", {"n": 1})
        self.telemetry.emit("a", {"n": 2})
        await self.refute_telemetry("a", timeout=0)
        self.assertEqual([event.measurements["n"] for event in self.telemetry.flush(handler.id)], [1, 2])
        self.assertEqual(self.telemetry.flush(handler), [])

    async def test_transform(self) -> None:
        def mark(event: TelemetryEvent) -> TelemetryEvent:
            return dataclasses.replace(event, metadata={**event.metadata, "marked": True})

        self.telemetry.attach("a", transform=mark, passthrough=True)
        contextvars.Context().run(ROUTER.heard, TelemetryEvent("a"))
        await self.assert_telemetry("a", {"marked": True}, timeout=0)

    async def test_two_handlers_of_a_name_do_not_double_an_event(self) -> None:
        self.telemetry.attach("a")
        buffered = self.telemetry.attach("*", buffer=True)
        self.telemetry.attach("a*")
        self.telemetry.emit("a")
        await self.assert_telemetry_count("a", 1, timeout=0)
        self.assertEqual(len(self.telemetry.flush(buffered)), 1)

    async def test_detach(self) -> None:
        handler = self.telemetry.attach("a", buffer=True)
        self.telemetry.emit("a")
        self.telemetry.detach(handler)
        self.telemetry.detach(handler.id)
        self.telemetry.emit("a")
        self.assertEqual(self.telemetry.flush(handler), [])
        await self.refute_telemetry("a", timeout=0)
        self.assertEqual(self.telemetry.handlers, [])
        self.assertIn("detached", repr(handler))

    async def test_flush_loses_nothing_that_was_not_asked_for(self) -> None:
        for name in ("a", "b", "a", "c"):
            self.telemetry.emit(name)
        self.assertEqual(names(self.telemetry.flush("a")), ["a", "a"])
        self.assertEqual(names(self.telemetry.flush("b*")), ["b"])
        self.assertEqual(names(self.telemetry.flush("all")), ["c"])
        self.assertEqual(self.telemetry.flush(), [])

    async def test_flush_all_takes_the_buffers_too(self) -> None:
        self.telemetry.attach("a", buffer=True)
        self.telemetry.emit("b")
        self.telemetry.emit("a")
        self.assertEqual(names(self.telemetry.flush("all")), ["b", "a"])

    async def test_a_handler_of_another_test_has_nothing_here(self) -> None:
        kept: list[Any] = []
        run_inner(inner_case(lambda case: kept.append(case.telemetry.attach("a"))))
        self.assertEqual(self.telemetry.flush(kept[0]), [])

    async def test_capture_collects_and_leaves_the_events_to_assertions(self) -> None:
        with self.telemetry.capture("a") as events:
            self.telemetry.emit("a", {"n": 1})
            self.assertEqual(len(events), 1)
            self.telemetry.emit("b")
        self.telemetry.emit("a", {"n": 2})
        self.assertEqual([event.measurements for event in events], [{"n": 1}])
        self.assertEqual(events, [events[0]])
        self.assertEqual(events[:1], [events[0]])
        self.assertIn("name='a'", repr(events))
        await self.assert_telemetry_count("a", 2, timeout=0)

    async def test_capture_ends_when_its_block_fails(self) -> None:
        with self.assertRaises(OSError), self.telemetry.capture():
            raise OSError
        self.assertEqual(self.telemetry.inbox.captures, ())

    async def test_metadata_and_emit(self) -> None:
        self.assertEqual(self.telemetry.metadata(), {TEST_ID: self.isolation.test_id})
        self.assertEqual(self.telemetry.metadata({"n": 1}), {"n": 1, TEST_ID: self.telemetry.test_id})
        self.telemetry.emit("a", {"n": 1}, {"k": 2})
        [event] = self.telemetry.events
        self.assertEqual(event, TelemetryEvent("a", {"n": 1}, {"k": 2, TEST_ID: self.isolation.test_id}))

    @alone("hears of the events of others, which a handler with a key of its own looks at")
    async def test_the_library_tells_of_handlers_and_deliveries_without_end(self) -> None:
        self.telemetry.attach("supertester.telemetry.*")
        handler = self.telemetry.attach("a")
        self.telemetry.attach("*", buffer=True)
        self.telemetry.emit("a")
        self.telemetry.attach("b", filter_key="key")
        self.telemetry.emit("b")
        self.telemetry.detach(handler)
        seen = [
            (event.name.removeprefix("supertester.telemetry."), event.metadata.get("event"))
            for event in self.telemetry.events
        ]
        self.assertEqual(
            seen,
            [
                ("handler.attached", None),
                ("handler.attached", None),
                ("handler.attached", None),
                ("a", None),
                ("event.delivered", "a"),
                ("event.delivered", "a"),
                ("handler.attached", None),
                ("event.delivered", "b"),
                ("event.filtered", "b"),
                ("handler.detached", None),
            ],
        )

    async def test_what_the_library_tells_of_telemetry_is_there_only_when_asked_for(self) -> None:
        self.telemetry.attach("*")
        self.telemetry.emit("a")
        self.assertEqual(names(self.telemetry.flush("all")), ["a"])

    @tag(telemetry_events=["tagged.one", "tagged.two"])
    async def test_the_tag_attaches(self) -> None:
        [handler] = self.telemetry.handlers
        self.assertEqual(handler.names, ("tagged.one", "tagged.two"))

    @tag(telemetry_events="supertester.concurrent.scenario.stop")
    async def test_events_of_the_library_reach_the_tag(self) -> None:
        telemetry.emit("concurrent.scenario.stop", {"duration_ms": 1})
        await self.assert_telemetry("supertester.concurrent.scenario.stop", timeout=0)

    async def test_misuse(self) -> None:
        with self.assertRaisesRegex(UsageError, r"at least one name .* names=\[\]"):
            self.telemetry.attach([])
        with self.assertRaisesRegex(TypeError, "names of events are strings, got 3"):
            self.telemetry.attach(["a", 3])  # type: ignore[list-item]
        with self.assertRaisesRegex(TypeError, "transform must be a function of the event, got 3"):
            self.telemetry.attach("a", transform=3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'buffered'"):
            self.telemetry.attach("a", buffered=True)  # type: ignore[call-arg]
        with self.assertRaisesRegex(UsageError, "none of them empty"):
            self.telemetry.emit("")


class TestAssertions(IsolatedTestCase):
    async def test_patterns(self) -> None:
        self.telemetry.emit("shop.order.placed", {"n": 1}, {"fruit": "apple"})
        for pattern in ("shop.order.placed", "shop.*", lambda event: event.measurements == {"n": 1}):
            event = await self.assert_telemetry(pattern, timeout=0)
            self.assertEqual(event.name, "shop.order.placed")
        for metadata in ({"fruit": "apple"}, {}, lambda found: "fruit" in found):
            await self.assert_telemetry("shop.order.placed", metadata, timeout=0)
        await self.refute_telemetry("shop.order", timeout=0)

    async def test_matching_reorders_nothing_and_consumes_only_when_told_to(self) -> None:
        for n in range(3):
            self.telemetry.emit("a", {"n": n})
        await self.assert_telemetry(lambda event: event.measurements["n"] == 1, timeout=0)
        first = await self.assert_telemetry("a", timeout=0, consume=True)
        self.assertEqual(first.measurements["n"], 0)
        self.assertEqual([event.measurements["n"] for event in self.telemetry.events], [1, 2])

    async def test_waits_for_an_event_of_a_thread(self) -> None:
        looking = threading.Event()

        def emit() -> None:
            looking.wait(10)
            self.telemetry.emit("late")

        thread = threading.Thread(target=emit)
        thread.start()
        waiting = asyncio.create_task(self.assert_telemetry("late", timeout=10))
        await asyncio.sleep(0)
        looking.set()
        self.assertEqual((await waiting).name, "late")
        thread.join()

    async def test_waits_for_an_event_of_a_task(self) -> None:
        waiting = asyncio.create_task(self.assert_telemetry("late", timeout=10))
        await asyncio.sleep(0)
        self.telemetry.emit("late")
        await waiting
        self.assertEqual(self.telemetry.inbox.listeners, ())

    async def test_count_waits_for_all_and_returns_them_in_order(self) -> None:
        async def emit() -> None:
            for n in range(3):
                await asyncio.sleep(0)
                self.telemetry.emit("a", {"n": n})

        emitting = asyncio.create_task(emit())
        events = await self.assert_telemetry_count("a", 3, timeout=10)
        self.assertEqual([event.measurements["n"] for event in events], [0, 1, 2])
        await emitting

    async def test_count_removes_what_it_counts_when_told_to(self) -> None:
        for name in ("a", "b", "a"):
            self.telemetry.emit(name)
        with self.assertRaisesRegex(AssertionError, "expected exactly 3 telemetry events 'a', got 2"):
            await self.assert_telemetry_count("a", 3, timeout=0, consume=True)
        self.assertEqual(len(await self.assert_telemetry_count("a", 2, timeout=0, consume=True)), 2)
        self.assertEqual(names(self.telemetry.events), ["b"])

    async def test_no_events(self) -> None:
        self.assertEqual(await self.assert_telemetry_count("a", 0), [])
        await self.refute_telemetry("a", timeout=0.001)

    async def test_misuse(self) -> None:
        with self.assertRaisesRegex(UsageError, "0 or more, got -1"):
            await self.assert_telemetry_count("a", -1)
        with self.assertRaisesRegex(TypeError, "a number of events is wanted, got '1'"):
            await self.assert_telemetry_count("a", "1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "given by its name, a glob or a function of the event, got 3"):
            await self.assert_telemetry(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "wanted as a mapping or a function of it, got 3"):
            await self.assert_telemetry("a", 3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more"):
            await self.refute_telemetry("a", timeout=-1)

    async def test_without_a_test_case(self) -> None:
        def body() -> str:
            async def main() -> str:
                async with isolate() as context:
                    orders.add(1)
                    handle = context.feature("telemetry")
                    with self.assertRaisesRegex(WaitTimeout, "no telemetry event 'b'"):
                        await handle.wait_for("b", timeout=0)
                    return (await handle.wait_for("orders", timeout=0)).name  # type: ignore[no-any-return]

            return asyncio.run(main())

        self.assertEqual(await asyncio.to_thread(lambda: contextvars.Context().run(body)), "orders")


class TestFailures(unittest.TestCase):
    """The messages."""

    def assert_says(self, body: Any, *words: str) -> str:
        report = failure_of(body)
        for each in words:
            self.assertIn(each, report)
        return report

    def test_none_came(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.emit("shop.cart", {}, {"id": 1})
            case.telemetry.emit("shop.order.placed", {"n": 1}, {"id": 6})
            case.telemetry.emit("shop.order.placed", {"n": 1}, {"id": 7, "fruit": "pear"})
            await case.assert_telemetry("shop.order.placed", {"id": 7, "fruit": "apple"}, timeout=0.001, msg="well")

        self.assert_says(
            body,
            "no telemetry event 'shop.order.placed' with metadata {'id': 7, 'fruit': 'apple'} within 0.001 s; "
            "seen, nearest first:\n"
            "  1. event shop.order.placed {'n': 1} {'id': 7, 'fruit': 'pear'}\n"
            "  2. event shop.order.placed {'n': 1} {'id': 6}\n"
            "  3. event shop.cart {'id': 1}",
            "well",
        )

    def test_nothing_came_at_all(self) -> None:
        async def body(case: Any) -> None:
            await case.assert_telemetry(lambda event: False, lambda found: True, timeout=0)

        self.assert_says(body, "no telemetry event that ", " so far; no event of this test was seen")

    def test_one_came_to_nobody(self) -> None:
        async def body(case: Any) -> None:
            contextvars.Context().run(lambda: tracer.start_span("lost").end())
            await case.assert_telemetry("lost", timeout=0)

        self.assert_says(body, "hint: 'lost' (span) came that belongs to no test")

    def test_one_came_with_the_id_of_another_test(self) -> None:
        async def outer(case: Any) -> None:
            async def inner(other: Any) -> None:
                other.telemetry.emit("astray", {}, {TEST_ID: case.telemetry.test_id + "0"})
                other.telemetry.emit("astray", {}, {TEST_ID: case.telemetry.test_id})
                await other.assert_telemetry("astray", timeout=0)

            case.report = failure_of(inner)
            await case.assert_telemetry_count("astray", 1, timeout=0)
            case.fail(case.report)

        report = failure_of(outer)
        self.assertIn("hint: 'astray' (event) came with the id of another test, supertester.test_id = ", report)
        self.assertNotIn("-0", report)

    def test_one_was_buffered(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.attach("a", buffer=True)
            case.telemetry.emit("a")
            await case.assert_telemetry("a", timeout=0)

        self.assert_says(body, "buffers such events; flush() returns them")

    def test_one_came_that_was_not_to_come(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.emit("shop.order", {"n": 1})
            await case.refute_telemetry("shop.*", timeout=0, msg="well")

        self.assert_says(
            body, "telemetry event 'shop.*' was not to come, and 1 came\n  1. event shop.order {'n': 1}", "well"
        )

    def test_one_comes_while_it_is_not_to_come(self) -> None:
        async def body(case: Any) -> None:
            asyncio.get_running_loop().call_soon(case.telemetry.emit, "a")
            await case.refute_telemetry("a", timeout=10)

        self.assert_says(body, "'a' was not to come, and 1 came")

    def test_too_few(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.emit("a")
            await case.assert_telemetry_count("a", 2, timeout=0.001)

        self.assert_says(body, "expected exactly 2 telemetry events 'a', got 1 within 0.001 s; seen, nearest first:")

    def test_too_many(self) -> None:
        async def body(case: Any) -> None:
            for _ in range(3):
                case.telemetry.emit("a")
            await case.assert_telemetry_count("a", 2)

        self.assert_says(body, "expected exactly 2 telemetry events 'a', got 3")

    def test_one_more_that_is_about_to_come(self) -> None:
        async def body(case: Any) -> None:
            async def emit() -> None:
                for _ in range(3):
                    await asyncio.sleep(0)
                case.telemetry.emit("a")

            case.telemetry.emit("a")
            emitting = asyncio.create_task(emit())
            await case.assert_telemetry_count("a", 1)
            await emitting

        self.assert_says(body, "expected exactly 1 telemetry events 'a', got 2")

    def test_a_count_of_none(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.emit("a")
            await case.assert_telemetry_count("a", 0, timeout=0)

        self.assert_says(body, "expected exactly 0 telemetry events 'a', got 1")

    def test_a_transform_that_raises_fails_the_test_and_not_the_code(self) -> None:
        def fail(event: TelemetryEvent) -> TelemetryEvent:
            raise OSError("broken")

        async def body(case: Any) -> None:
            case.telemetry.attach("a", transform=fail)
            case.telemetry.emit("a", {"n": 1})
            await case.assert_telemetry("a", timeout=0)

        self.assert_says(body, "the transform TestFailures", "raised OSError('broken') for the event: event a {'n': 1}")

    def test_a_transform_that_returns_no_event(self) -> None:
        async def body(case: Any) -> None:
            case.telemetry.attach("a", transform=lambda event: None)
            case.telemetry.emit("a")

        self.assert_says(body, "returned None, which is no TelemetryEvent")

    def test_it_is_off(self) -> None:
        async def body(case: Any) -> None:
            await case.assert_telemetry("a")

        for options in ({"isolation": "basic"}, {"telemetry": False}):
            report = run_inner(inner_case(body, **options)).report
            self.assertIn("isolation feature 'telemetry' is off in mode", report)

    def test_a_setting_that_makes_no_sense(self) -> None:
        with self.assertRaisesRegex(UsageError, "telemetry must be True or False, got telemetry='loud'"):
            inner_case(lambda case: None, telemetry="loud")

    def test_more_than_can_be_kept(self) -> None:
        async def body(case: Any) -> None:
            for n in range(5):
                case.telemetry.emit("a", {"n": n})
            await case.assert_telemetry_count("a", 5, timeout=0)

        with unittest.mock.patch.object(inboxes, "MOST_EVENTS", 3):
            self.assert_says(
                body, "got 3 so far", "hint: there were too many events to keep; the 2 oldest are not there"
            )


class TestTwoAtOnce(unittest.TestCase):
    def test_neither_sees_the_other(self) -> None:
        barrier = threading.Barrier(2)
        reports: dict[str, str] = {}

        def run(name: str) -> None:
            async def body(case: Any) -> None:
                barrier.wait(10)
                for _ in range(50):
                    with tracer.start_as_current_span("work", attributes={"of": name}) as span:
                        span.add_event("step", {"of": name})
                        orders.add(1, {"of": name})
                        logger.emit(_logs.LogRecord(event_name="said", attributes={"of": name}))
                        telemetry.emit("chaos.start", {}, {"of": name})
                        await asyncio.sleep(0)
                barrier.wait(10)
                for each in ("work", "step", "orders", "said", "supertester.chaos.start"):
                    events = await case.assert_telemetry_count(each, 50)
                    case.assertEqual({event.metadata["of"] for event in events}, {name})
                case.assertEqual(len(case.telemetry.events), 250)

            reports[name] = run_inner(inner_case(body)).report

        threads = [threading.Thread(target=run, args=(name,)) for name in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports, {"left": "", "right": ""})

    def test_events_can_be_sent_to_another_running_test(self) -> None:
        async def outer(case: Any) -> None:
            def inner(other: Any) -> None:
                telemetry.emit("chaos.start", {}, case.telemetry.metadata())
                other.assertEqual(other.telemetry.events, [])

            case.assertEqual(run_inner(inner_case(inner)).report, "")
            await case.assert_telemetry("supertester.chaos.start", timeout=0)

        self.assertEqual(run_inner(inner_case(outer)).report, "")

    def test_what_comes_after_a_test_goes_nowhere(self) -> None:
        go, done = threading.Event(), threading.Event()

        def straggle() -> None:
            go.wait(10)
            tracer.start_span("straggler").end()
            telemetry.emit("chaos.start", metadata={"of": "the straggler"})
            done.set()

        class Leaking(IsolatedTestCase, leaks="ignore"):
            def test(self) -> None:
                threading.Thread(target=straggle).start()

        async def after(case: Any) -> None:
            case.telemetry.attach("*", passthrough=True)
            go.set()
            case.assertTrue(done.wait(10))
            case.assertEqual([event for event in case.telemetry.events if "straggl" in repr(event)], [])

        self.assertEqual(run_inner(Leaking("test")).report, "")
        self.assertEqual(run_inner(inner_case(after)).report, "")

    @alone("takes out what the library has put into the process")
    def test_signals_are_heard_though_the_import_of_what_hears_them_was_undone(self) -> None:
        name = "supertester.telemetry.signals"
        self.addCleanup(sys.modules.update, {name: importlib.import_module(name)})
        uninstall()
        self.assertEqual(run_inner(inner_case(lambda case: None)).report, "")
        del sys.modules[name]

        def body(case: Any) -> None:
            case.telemetry.attach("work", passthrough=True)
            tracer.start_span("work").end()
            case.assertEqual(len(case.telemetry.events), 1)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_nothing_is_kept_of_a_test_that_has_ended(self) -> None:
        from supertester.telemetry import signals

        kept: list[Any] = []

        def body(case: Any) -> None:
            case.telemetry.attach("a", passthrough=True)
            kept.append(case.telemetry.inbox)
            tracer.start_span("never ended")
            tracer.start_span("ended").end()

        run_inner(inner_case(body))
        self.assertNotIn(kept[0], ROUTER.beyond)
        self.assertNotIn(kept[0], [*(owner for _, owner in signals._spans.values()), *signals._traces.values()])


class TestSnapshots(IsolatedTestCase):
    async def test_spans_as_plain_dicts_that_are_always_the_same(self) -> None:
        with tracer.start_as_current_span("outer", attributes={"b": 1, "a": 2}) as outer:
            outer.add_event("begun", {"k": "v"})
            with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT):
                pass
        tracer.start_span("second").end()
        second = 1_000_000_000
        self.assertEqual(
            self.telemetry.snapshot(),
            [
                {
                    "name": "outer",
                    "kind": "INTERNAL",
                    "trace_id": 1,
                    "span_id": 1,
                    "parent_id": None,
                    "start_time": 1 * second,
                    "end_time": 5 * second,
                    "status": "UNSET",
                    "attributes": {"a": 2, "b": 1},
                    "events": [{"name": "begun", "time": 2 * second, "attributes": {"k": "v"}}],
                },
                {
                    "name": "inner",
                    "kind": "CLIENT",
                    "trace_id": 1,
                    "span_id": 2,
                    "parent_id": 1,
                    "start_time": 3 * second,
                    "end_time": 4 * second,
                    "status": "UNSET",
                    "attributes": {},
                    "events": [],
                },
                {
                    "name": "second",
                    "kind": "INTERNAL",
                    "trace_id": 2,
                    "span_id": 3,
                    "parent_id": None,
                    "start_time": 6 * second,
                    "end_time": 7 * second,
                    "status": "UNSET",
                    "attributes": {},
                    "events": [],
                },
            ],
        )

    async def test_only_some_attributes(self) -> None:
        tracer.start_span("a", attributes={"kept": 1, "dropped": 2}).end()
        self.assertEqual(self.telemetry.snapshot(attributes=["kept"])[0]["attributes"], {"kept": 1})
