"""The spans of chaos and of measurements: what is in them, and what they leave alone."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import unittest
from typing import Any

from opentelemetry import trace

from supertester.case import IsolatedTestCase
from supertester.chaos import (
    chaos_kill_children,
    corrupt_state,
    drop,
    inject_crash,
    inject_random_failures,
    kill_random_worker,
    network_proxy,
    pause,
    probe_chaos_resilience,
    probe_recovery,
    run_chaos_suite,
    simulate_resource_exhaustion,
)
from supertester.harness import Scenario
from supertester.harness import chaos_kill_children as killing
from supertester.mixins.harness import HarnessMixin
from supertester.otp import Agent, ChildSpec, GenServer, Pid, Supervisor
from supertester.performance import (
    Rounds,
    benchmark,
    compare_performance,
    measure_mailbox_growth,
    measure_memory_usage,
    measure_operation,
    probe_memory_leak,
    probe_performance,
    probe_regression,
    run_load,
)
from supertester.telemetry import SPANS, TEST_ID
from supertester.telemetry.emission import told
from tests.alone import alone
from tests.project.support import ROOT, run_python
from tests.test_telemetry import APPLICATION

FEW = Rounds(first=3, most=3, warmup=1, seconds=1)


async def pool() -> Pid:
    return await Supervisor.start_link([ChildSpec(name, Agent, args=(0,)) for name in "abc"], max_restarts=100)


async def nothing(*_: Any) -> None: ...


class Server(GenServer):
    def init(self) -> int:
        return 0

    def handle_cast(self, message: Any) -> None: ...


class SpanCase(IsolatedTestCase, telemetry=True):
    def spans(self) -> list[dict[str, Any]]:
        """Return the finished spans, in the order in which they began; those of the library have what is listed."""
        found = self.telemetry.snapshot()
        for span in found:
            spec = SPANS.get(span["name"])
            if spec is not None:
                listed = {*spec.measurements, *spec.metadata}
                self.assertLessEqual(span["attributes"].keys(), listed, span)
        return found

    def span(self, name: str) -> dict[str, Any]:
        [found] = [span for span in self.spans() if span["name"] == f"supertester.{name}"]
        return found

    def names(self) -> list[str]:
        return [span["name"].removeprefix("supertester.") for span in self.spans()]


class TestChaos(SpanCase):
    async def test_killed_children(self) -> None:
        report = await chaos_kill_children(await pool(), kill_rate=1, duration_ms=1, kill_interval_ms=60_000, seed=7)
        found = self.span("chaos.kill_children")["attributes"]
        seen = {name: found[name] for name in ("kill_rate", "seed", "killed", "restarted", "supervisor_crashed")}
        expected = {"kill_rate": 1, "seed": 7, "killed": 3, "restarted": 3, "supervisor_crashed": False}
        self.assertEqual((seen, found["duration_ms"]), (expected, report.duration_ms))

    async def test_a_crash_that_comes_and_one_that_does_not(self) -> None:
        agent = await Agent.start(0)
        await inject_crash(agent, ("random", 0.0), seed=3)
        await inject_crash(agent, "immediate", reason=("out of", "luck"))
        spared, hit = (span["attributes"] for span in self.spans())
        self.assertEqual((spared["fired"], spared["died"], spared["seed"]), (False, False, 3))
        self.assertEqual((hit["fired"], hit["died"], hit["signal"]), (True, True, "('out of', 'luck')"))

    async def test_a_suite_is_the_parent_of_its_entries(self) -> None:
        entries: list[dict[str, Any]] = [{"type": "kill_worker"}, {"type": "exhaustion", "resource": "tables"}]
        await run_chaos_suite(await pool(), [*entries, {"type": "custom", "run": lambda _: False}], seed=5)
        self.assertEqual(self.names(), ["chaos.suite", "chaos.kill_worker", "chaos.crash", "chaos.exhaustion"])
        suite, worker, crash, exhaustion = self.spans()
        seen = {name: suite["attributes"][name] for name in ("total_scenarios", "passed", "failed", "seed")}
        self.assertEqual(seen, {"total_scenarios": 3, "passed": 2, "failed": 1, "seed": 5})
        parents = [worker["parent_id"], crash["parent_id"], exhaustion["parent_id"]]
        self.assertEqual(parents, [suite["span_id"], worker["span_id"], suite["span_id"]])

    async def test_what_lasts_is_a_span_from_the_beginning_to_the_end(self) -> None:
        async with simulate_resource_exhaustion("tables", count=4):
            self.assertEqual(self.names(), [])
            trace.get_tracer("tests").start_span("meanwhile").end()
        exhaustion, meanwhile = self.spans()
        self.assertEqual((exhaustion["attributes"]["resource"], exhaustion["attributes"]["taken"]), ("tables", 4))
        self.assertIsNone(meanwhile["parent_id"])  # It may be undone elsewhere.

    async def test_what_lasts_may_be_undone_by_another_task(self) -> None:
        held = await pause(await Agent.start_link(0))
        await asyncio.create_task(held.cleanup())
        self.assertTrue(self.span("chaos.pause")["attributes"]["active"])

    async def test_what_lasts_and_cannot_be_done_has_failed(self) -> None:
        def fail(_: Any) -> Any:
            raise ValueError("planted")

        with self.assertRaisesRegex(Exception, "planted"):
            await corrupt_state(await Agent.start_link(0), fail)
        self.assertEqual(self.span("chaos.corrupt_state")["status"], "ERROR")

    async def test_faults_of_messages(self) -> None:
        server = await Server.start_link()
        with drop(server, rate=1, seed=2):
            server.cast("a")
            server.cast("b")
        found = self.span("chaos.message_fault")["attributes"]
        self.assertEqual((found["fault"], found["seed"], found["hits"]), ("drop", 2, 2))

    async def test_failures_of_processes_and_networks(self) -> None:
        process = await self.start_process([sys.executable, "-c", "input()"])
        with inject_random_failures(process, failure_rate=1, failure_types=["exit"], seed=1) as failures:
            await failures.strike()
        failures.cleanup()
        async with network_proxy("127.0.0.1", 9) as proxy:
            port = proxy.port
        failing, network = (self.span(f"chaos.{name}")["attributes"] for name in ("failing_workers", "network_proxy"))
        self.assertEqual((failing["seed"], failing["hits"], network["port"]), (1, 1, port))

    async def test_whether_a_system_recovers(self) -> None:
        supervisor = await pool()
        await probe_recovery(supervisor)
        await probe_chaos_resilience(supervisor, lambda: kill_random_worker(supervisor), lambda: True)
        for name in ("chaos.recovery", "chaos.resilience"):
            span = self.span(name)
            self.assertTrue(span["attributes"]["recovered"])
            self.assertIn("recovery_ms", span["attributes"])

    async def test_misuse_is_a_span_that_has_failed(self) -> None:
        with self.assertRaisesRegex(ValueError, "kill_rate"):
            await chaos_kill_children(await pool(), kill_rate=2)
        self.assertEqual(self.span("chaos.kill_children")["status"], "ERROR")


class TestMeasurements(SpanCase):
    async def test_an_operation(self) -> None:
        measured = await measure_operation(nothing)
        found = self.span("performance.measure_operation")["attributes"]
        for name in ("time_us", "cpu_us", "memory_bytes", "peak_memory_bytes", "reductions"):
            self.assertEqual(found[name], getattr(measured, name))
        self.assertEqual((found["fn"], found["once"]), ("nothing", False))

    async def test_an_operation_that_fails(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            await measure_operation(lambda: 1 / 0)
        span = self.span("performance.measure_operation")
        self.assertEqual((span["status"], span["events"][0]["name"]), ("ERROR", "exception"))

    @alone("takes a module away")
    async def test_an_operation_sees_nothing_of_it(self) -> None:
        def operation() -> bool:
            return trace.get_current_span().is_recording()

        async def crashing() -> None:
            await inject_crash(await Agent.start(0), "immediate")

        measured = await measure_operation(operation)
        self.assertFalse(measured.result)
        await measure_operation(crashing)
        await measure_operation(lambda: measure_operation(nothing))
        self.assertEqual(self.names(), ["performance.measure_operation"] * 3)
        module = sys.modules.pop("opentelemetry.trace")  # As in a program that does not use it.
        try:
            without = await measure_operation(operation)
        finally:
            sys.modules["opentelemetry.trace"] = module
        self.assertEqual(measured.reductions, without.reductions)

    async def test_comparisons(self) -> None:
        await benchmark(nothing, warmup=0, iterations=120)
        await compare_performance({"a": nothing, "b": nothing}, rounds=FEW)
        await probe_performance(nothing, max_reductions=1000)
        await probe_regression(nothing, nothing, rounds=FEW)
        times, comparison, bound, regression = self.spans()
        self.assertEqual(self.names(), [f"performance.{n}" for n in ("benchmark", "compare_performance", *PROBES)])
        self.assertEqual((times["attributes"]["iterations"], "p99" in times["attributes"]), (120, True))
        self.assertEqual((comparison["attributes"]["reference"], bound["attributes"]["verdict"]), ("a", "pass"))
        self.assertEqual(regression["attributes"]["by"], "cpu")

    @alone("measures the memory of the process")
    async def test_memory(self) -> None:
        await probe_memory_leak(10, lambda: None)
        await measure_memory_usage(lambda: None)
        leak, usage = self.spans()
        self.assertEqual((leak["attributes"]["iterations"], leak["attributes"]["leaking"]), (10, False))
        self.assertIn("kept_bytes", usage["attributes"])

    async def test_a_mailbox(self) -> None:
        server = await Server.start_link()

        def flood() -> None:
            for n in range(5):
                server.cast(n)

        await measure_mailbox_growth(server, flood)
        found = self.span("performance.measure_mailbox_growth")["attributes"]
        self.assertEqual((found["max_size"], found["server"]), (5, repr(server)))

    async def test_a_load_and_the_chaos_beside_it(self) -> None:
        supervisor, seen = await pool(), set()

        async def operation() -> None:
            seen.add(trace.get_current_span().is_recording())

        report = await run_load(operation, users=2, rate=50, duration=0.1, chaos=lambda: kill_random_worker(supervisor))
        load, killed, _ = self.spans()
        found = load["attributes"]
        self.assertEqual([found[name] for name in ("users", "rate", "operations", "success_rate")], [2, 50, 10, 1])
        self.assertEqual((found["p50_ms"], found["valid"]), (report.p50_ms, report.valid))
        self.assertEqual((seen, killed["name"], killed["parent_id"]), ({False}, "supertester.chaos.kill_worker", None))


PROBES = ("probe_performance", "probe_regression")


class TestScenarios(SpanCase, HarnessMixin):
    async def scenario(self, **options: Any) -> list[str]:
        chaos = killing(kill_rate=0, duration_ms=1, kill_interval_ms=1)
        await self.run_scenario(Scenario(pool, [[("custom", nothing)]], chaos=chaos, **options))
        return [event.name.removeprefix("supertester.") for event in self.telemetry.events if event.kind == "event"]

    async def test_chaos_is_a_child_and_its_events_come_once(self) -> None:
        events = await self.scenario()
        self.assertEqual(events, ["concurrent.scenario.start", "chaos.start", "chaos.stop", "concurrent.scenario.stop"])
        scenario, chaos = self.spans()
        self.assertEqual((chaos["name"], chaos["parent_id"]), ("supertester.chaos.kill_children", scenario["span_id"]))

    async def test_nothing_is_added_to_what_is_measured(self) -> None:
        events = await self.scenario(mailbox={}, performance_expectations={"max_time_ms": 60_000})
        self.assertEqual(events.count("performance.scenario.measured"), 1)
        self.assertEqual(self.names(), ["concurrent.scenario", "performance.measure_operation"])


class TestTests(SpanCase):
    async def test_what_outlives_a_measurement_is_not_measured_any_more(self) -> None:
        go = asyncio.Event()

        async def later() -> None:
            await go.wait()
            await inject_crash(await Agent.start(0), "immediate")

        tasks: list[asyncio.Task[None]] = []
        await measure_operation(lambda: tasks.append(asyncio.create_task(later())), once=True)
        go.set()
        await tasks[0]
        self.assertEqual(self.names(), ["performance.measure_operation", "chaos.crash"])

    async def test_one_that_is_closed_from_elsewhere_ends(self) -> None:
        entered = asyncio.Event()

        async def operation() -> None:
            entered.set()
            await asyncio.Event().wait()

        coroutine = measure_operation(operation, once=True)
        context = contextvars.copy_context()
        while not entered.is_set():
            context.run(coroutine.send, None)
        coroutine.close()
        self.assertEqual(self.names(), ["performance.measure_operation"])

    async def test_a_seed_of_any_size_can_be_exported(self) -> None:
        await inject_crash(await Agent.start(0), "immediate", seed=1 << 80)
        self.assertEqual(self.span("chaos.crash")["attributes"]["seed"], str(1 << 80))

    async def test_a_test_sees_its_own_and_the_metrics_not_again(self) -> None:
        await measure_operation(nothing)
        [event] = self.telemetry.events
        self.assertEqual((event.kind, event.metadata[TEST_ID]), ("span", self.isolation.test_id))

    async def test_what_cannot_be_shown_does_not_break_the_call(self) -> None:
        class Odd:
            def __repr__(self) -> str:
                raise OSError("planted")

            def __call__(self) -> int:
                return 3

        self.assertEqual((await measure_operation(Odd())).result, 3)
        self.assertIn("Odd object", self.span("performance.measure_operation")["attributes"]["fn"])

    async def test_a_report_that_cannot_be_read_changes_nothing(self) -> None:
        class Odd:
            @property
            def hits(self) -> int:
                raise OSError("planted")

        with told("chaos.message_fault", {"fault": "odd"}) as tell:
            tell(Odd())
        self.assertEqual(self.span("chaos.message_fault")["attributes"], {"fault": "odd"})


class TestList(unittest.TestCase):
    def test_the_reference_has_the_same_list(self) -> None:
        page = (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8")
        for name, spec in SPANS.items():
            self.assertEqual(name, "supertester." + spec.name)
            measurements, metadata = (", ".join(each) or "(none)" for each in (spec.measurements, spec.metadata))
            self.assertIn(f"| `{name}` | {spec.description} | {measurements} | {metadata} |", page)


class TestExport(unittest.TestCase):
    def test_an_exporter_that_fails_breaks_nothing(self) -> None:
        code = (
            "import asyncio\n"
            "from opentelemetry import trace\n"
            "from opentelemetry.sdk.trace import SpanProcessor, TracerProvider\n"
            "class Broken(SpanProcessor):\n"
            "    def on_start(self, span, parent_context=None): raise OSError('on_start')\n"
            "    def on_end(self, span): raise OSError('on_end')\n"
            "provider = TracerProvider()\n"
            "provider.add_span_processor(Broken())\n"
            "trace.set_tracer_provider(provider)\n"
            "from supertester.chaos import simulate_resource_exhaustion\n"
            "from supertester.performance import measure_operation\n"
            "async def main():\n"
            "    print((await measure_operation(lambda: 3)).result)\n"
            "    async with simulate_resource_exhaustion('process_limit', spawn_count=2) as held: print(held.taken)\n"
            "    Broken.on_start = SpanProcessor.on_start\n"
            "    print((await measure_operation(lambda: 4)).result)\n"
            "    try:\n"
            "        await measure_operation(lambda: 1 / 0)\n"
            "    except ZeroDivisionError: print('as ever')\n"
            "asyncio.run(main())\n"
        )
        self.assertEqual(run_python(code).splitlines(), ["3", "2", "4", "as ever"])

    def test_metrics_are_not_sampled(self) -> None:
        code = (
            "import os\nos.environ['OTEL_TRACES_SAMPLER'] = 'always_off'\n" + APPLICATION + "import asyncio\n"
            "from supertester.performance import measure_operation\n"
            "asyncio.run(measure_operation(lambda: None))\n"
            "[scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics\n"
            "print(len(spans.get_finished_spans()), len(scope.metrics))\n"
        )
        self.assertEqual(run_python(code).strip(), "0 5")

    def test_an_exporter_of_the_application_shows_spans_and_metrics(self) -> None:
        code = APPLICATION + (
            "import asyncio\n"
            "from supertester.chaos import inject_crash\n"
            "from supertester.otp import Agent\n"
            "from supertester.performance import measure_operation\n"
            "async def main():\n"
            "    await inject_crash(await Agent.start(0), 'immediate')\n"
            "    await measure_operation(lambda: None)\n"
            "    try:\n"
            "        await measure_operation(lambda: 1 / 0)\n"
            "    except ZeroDivisionError: pass\n"
            "asyncio.run(main())\n"
            "for span in spans.get_finished_spans(): print(span.name, span.status.status_code.name)\n"
            "print(sorted(m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics"
            " for m in s.metrics if m.name.startswith('supertester')))\n"
        )
        measured = ["cpu_us", "memory_bytes", "peak_memory_bytes", "reductions", "time_us"]
        self.assertEqual(
            run_python(code).splitlines(),
            [
                "supertester.chaos.crash UNSET",
                "supertester.performance.measure_operation UNSET",
                "supertester.performance.measure_operation ERROR",
                str([f"supertester.performance.measure_operation.{name}" for name in measured]),
            ],
        )

    def test_without_opentelemetry_nothing_of_it_is_imported(self) -> None:
        code = (
            "import asyncio, sys\n"
            "from supertester.chaos import simulate_resource_exhaustion\n"
            "from supertester.performance import measure_operation\n"
            "async def main():\n"
            "    await measure_operation(lambda: None)\n"
            "    async with simulate_resource_exhaustion('process_limit', spawn_count=2): pass\n"
            "asyncio.run(main())\n"
            "print([name for name in sys.modules if name.startswith('opentelemetry')])"
        )
        self.assertEqual(run_python(code).strip(), "[]")
