"""Whether a system gets over chaos, and suites of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.chaos import chaos_kill_children, inject_crash, run_chaos_suite
from supertester.errors import UsageError
from supertester.harness import simple_genserver_scenario
from supertester.mixins.chaos import ChaosMixin
from supertester.mixins.harness import HarnessMixin
from supertester.otp import KILL, GenServer, Stop, Supervisor, flag_trap_exit, sys, whereis
from supertester.testing import inner_case, run_inner
from tests.otp.support import RuntimeCase
from tests.subjects import Counter, Stubborn, counter_spec, team


class Case(ChaosMixin, HarnessMixin, IsolatedTestCase):
    """A test as users write it."""

    async def team(self, *names: str, **options: Any) -> Any:
        children = [counter_spec(name) for name in names]
        return await self.setup_isolated_supervisor(Supervisor, init_args=(children,), **options)


class Swallowed:
    """A fault that suspends its target."""

    name = "suspended"

    @asynccontextmanager
    async def inject(self, target: Any) -> AsyncIterator[str]:
        await sys.suspend(target)
        try:
            yield "asleep"
        finally:
            await sys.resume(target)


class Obedient(GenServer):
    """Traps exits, and ends when it is told to."""

    def init(self) -> None:
        flag_trap_exit(True)

    def handle_info(self, message: Any) -> Any:
        return Stop(message.reason)


class TestResilience(Case):
    async def test_a_system_that_recovers(self) -> None:
        supervisor = await self.team("a", "b")
        found = await self.assert_chaos_resilient(
            supervisor,
            lambda: self.chaos_kill_children(supervisor, kill_rate=1, duration_ms=1),
            lambda: whereis("a") is not None and whereis("b") is not None,
            steady_state=supervisor.is_alive,
        )
        self.assertEqual([event.fault for event in found.faults], ["kill_children"] * 2)
        self.assertEqual(len(found.deaths), 2)
        self.assertGreaterEqual(found.recovery_ms or 0.0, 0.0)
        self.assertTrue(json.loads(json.dumps(found.to_dict()))["recovered"])

    async def test_a_death_by_hand_is_chaos_too(self) -> None:
        supervisor = await self.team("a")
        first = whereis("a")
        assert first is not None
        found = await self.assert_chaos_resilient(
            supervisor, lambda: first.exit(KILL), lambda: whereis("a") not in (None, first)
        )
        self.assertEqual((found.faults, found.deaths), ((), (first,)))

    async def test_the_other_methods(self) -> None:
        supervisor = await self.team("a")
        self.assertTrue((await self.inject_crash("a", "immediate")).died)
        report = await self.run_chaos_suite(supervisor, [{"type": "kill_children", "duration_ms": 1}], timeout=5)
        self.assertEqual(report.failed, 0)
        scenario = self.simple_genserver_scenario(Counter, ["value"], 2)
        self.assertTrue((await self.run_scenario(scenario)).ok)
        self.assertTrue((await self.run_with_performance(scenario, max_reductions=10**6)).ok)
        config = {"thread_scripts": [["value"]]}
        self.assertTrue((await self.run_scenario(self.from_property_config(Counter, config))).ok)
        self.assertEqual([each.value for each in await self.run_concurrently(2, lambda number: number)], [0, 1])
        self.assert_implements(Counter, ["init"])
        increments = self.simple_genserver_scenario(Counter, [("cast", ("add", 1)), "value"], 3)
        self.assert_linearizable(await self.run_scenario(increments), "counter")


class TestFailures(RuntimeCase):
    def fails(self, body: Callable[[Any], Any], *patterns: str) -> None:
        result = run_inner(inner_case(body, Case))
        self.assertEqual([kind for kind in result.kinds if kind not in ("start", "stop")], ["failure"], result.report)
        for pattern in patterns:
            self.assertRegex(result.report, pattern)

    def test_of_a_system_that_does_not_recover(self) -> None:
        async def body(case: Case) -> None:
            supervisor = await case.team("a", max_restarts=0)
            await case.assert_chaos_resilient(
                supervisor, lambda: case.inject_crash("a", "immediate"), lambda: whereis("a"), timeout=0
            )

        self.fails(
            body,
            r"<Pid \d+ \S+ .*>, dead, failed to recover from chaos within 0 s: .*<lambda> gave None",
            r"1\. \d.* ms: crash hit <Pid .*'reason': \"'chaos_injection'\"",
        )

    def test_of_chaos_that_hits_nobody(self) -> None:
        async def body(case: Case) -> None:
            supervisor = await case.team("a")
            await case.assert_chaos_resilient(supervisor, lambda: None, lambda: True)

        self.fails(body, "the chaos of .*<lambda> hit nobody: no injector delivered a fault and no process ended")

    def test_of_chaos_that_hits_nobody_can_be_meant(self) -> None:
        async def body(case: Case) -> None:
            supervisor = await case.team("a")
            await case.assert_chaos_resilient(supervisor, lambda: None, lambda: True, require_fault=False)

        self.assertEqual(run_inner(inner_case(body, Case)).report, "")

    def test_of_a_system_that_was_not_well_before(self) -> None:
        async def body(case: Case) -> None:
            supervisor = await case.team("a")
            await case.assert_chaos_resilient(supervisor, lambda: None, lambda: True, steady_state=lambda: False)

        self.fails(body, "was not in its steady state before the chaos: .*<lambda> is false")

    def test_of_a_dead_system(self) -> None:
        async def body(case: Case) -> None:
            with case.assertRaisesRegex(UsageError, "'nobody' is not alive, so there is nothing to try"):
                await case.assert_chaos_resilient("nobody", lambda: None, lambda: True)

        self.assertEqual(run_inner(inner_case(body, Case)).report, "")

    def test_of_a_scenario_show_the_report(self) -> None:
        async def body(case: Case) -> None:
            await case.run_scenario(case.simple_genserver_scenario(Counter, ["value"], 2, invariant=lambda *_: False))

        self.fails(
            body,
            "the scenario failed: invariant_failed returned_false",
            r"threads 1 to 2: call\('value'\)",
            r"thread 1, step 1: call\('value'\) -> 0",
            r"seed of the test: \d+",
        )

    def test_of_bounds(self) -> None:
        async def body(case: Case) -> None:
            scenario = case.simple_genserver_scenario(Counter, ["value"], 2, timeout_ms=60_000)
            await case.run_with_performance(scenario, max_reductions=0, msg="the budget")

        self.fails(body, r"performance_failed reductions is \d+, exceeded maximum of 0[\s\S]* : the budget")

    def test_of_a_history(self) -> None:
        class Forgets(GenServer):
            def init(self) -> list[Any]:
                return []

            def handle_call(self, request: Any, sender: Any) -> Any:
                match request:
                    case ("put", value):
                        self.state = [value]  # The bug: what was there is forgotten.
                    case "get":
                        return self.state.pop() if self.state else None
                return None

        async def body(case: Case) -> None:
            operations = [("put", 1), ("put", 2), "get", "get"]
            report = await case.run_scenario(case.simple_genserver_scenario(Forgets, operations, 1))
            case.assert_linearizable(report, "queue", sequential=True, msg="the mailbox")

        self.fails(
            body,
            "the history is not_linearizable: no order of these operations is one of a queue",
            r"1: get\(\) -> 2, but there it returns 1",
            " : the mailbox",
        )

    def test_of_an_implementation(self) -> None:
        async def body(case: Case) -> None:
            case.assert_implements(Counter, ["close"], msg="the counter")

        self.fails(body, "Counter does not implement its callbacks:\n  close is missing : the counter")


class TestSuite(RuntimeCase):
    async def test_every_type(self) -> None:
        supervisor = await team("a", "b", max_restarts=100)
        scenario = simple_genserver_scenario(Counter, ["value"], 2)
        entries = [
            {"type": "kill_children", "kill_rate": 1, "duration_ms": 0},
            {"type": "crash", "target": "a", "reason": "planned"},
            {"type": "concurrent", "scenario": scenario},
            {"type": "concurrent", "build": lambda target: scenario if target is supervisor else None},
            {"type": "concurrent", "scenario": {"setup": Counter.start_link, "threads": ["value"]}},
            {"type": "fault", "fault": Swallowed(), "duration_ms": 0},
            {"type": "custom", "run": lambda target: target.is_alive()},
        ]
        report = await run_chaos_suite(supervisor, entries)
        self.assertEqual((report.total_scenarios, report.passed, report.failures), (7, 7, ()))
        self.assertEqual(sorted(report.reports), list(range(7)))
        self.assertEqual((report.reports[1].reason, report.reports[5]), ("planned", "asleep"))
        self.assertEqual(json.loads(json.dumps(report.to_dict()))["passed"], 7)

    async def test_each_way_to_fail_and_the_rest_goes_on(self) -> None:
        supervisor = await team("a", max_restarts=0)
        stubborn = await Stubborn.start_link()

        def fail(*_: Any) -> None:
            raise OSError("planted")

        failing = simple_genserver_scenario(Counter, ["value"], 1, invariant=lambda *_: False)
        entries: list[dict[str, Any]] = [
            {"type": "flood"},
            {},
            {"type": "crash", "target": stubborn},
            {"type": "crash", "target": "nobody"},
            {"type": "crash", "target": stubborn, "hard": True},
            {"type": "concurrent"},
            {"type": "concurrent", "build": fail},
            {"type": "concurrent", "scenario": failing},
            {"type": "fault", "fault": "swallowed"},
            {"type": "custom", "run": fail},
            {"type": "custom", "run": lambda _: False},
            {"type": "custom", "run": print, "twice": True},
            {"type": "kill_children", "kill_rate": 1, "duration_ms": 1, "kill_interval_ms": 1},
            {"type": "kill_children", "kill_rate": 1, "duration_ms": 0},
            {"type": "custom", "run": lambda _: True},
        ]
        running = asyncio.create_task(run_chaos_suite(supervisor, entries))
        while not running.done():
            await asyncio.sleep(0)
            self.clock.advance(0.001)
        report = await running
        reasons = {each["index"]: each["reason"] for each in report.failures}
        self.assertEqual((report.failed, report.passed), (14, 1))
        self.assertEqual(reasons[0], ("unknown_scenario_type", "flood"))
        self.assertEqual(reasons[1], ("unknown_scenario_type", None))
        self.assertEqual(reasons[2], "survived")
        self.assertIsInstance(reasons[3], UsageError)
        self.assertIsInstance(reasons[4], TypeError)
        self.assertEqual(reasons[5], "missing_concurrent_scenario")
        self.assertEqual(reasons[6][0], "scenario_builder_failed")
        self.assertEqual(reasons[7], ("invariant_failed", "returned_false"))
        self.assertIsInstance(reasons[8], UsageError)
        self.assertIsInstance(reasons[9], OSError)
        self.assertEqual(reasons[10], "returned_false")
        self.assertIsInstance(reasons[11], TypeError)
        self.assertEqual(reasons[12], "supervisor_crashed")
        self.assertIsInstance(reasons[13], UsageError)
        self.assertIn("1 of 15 entries passed", str(report))

    async def test_one_deadline_for_all(self) -> None:
        supervisor = await team("a")
        entries = [
            {"type": "custom", "run": lambda _: True},
            {"type": "custom", "run": lambda _: asyncio.Event().wait()},
            {"type": "custom", "run": lambda _: True},
        ]
        report = await run_chaos_suite(supervisor, entries, timeout=2.0)
        reasons = [each["reason"] for each in report.failures]
        self.assertEqual((report.passed, reasons), (1, ["timeout", "suite_timeout"]))

    async def test_nothing_is_done_after_the_deadline_though_an_entry_kept_the_loop_busy(self) -> None:
        def busy(_: Any) -> None:
            until = time.monotonic() + 0.01
            while time.monotonic() < until:
                pass

        counter = await Counter.start_link()
        report = await run_chaos_suite(counter, [{"type": "custom", "run": busy}, {"type": "crash"}], timeout=0.005)
        self.assertEqual(["suite_timeout"], [each["reason"] for each in report.failures])
        self.assertIsNone(counter.exit_reason)

    async def test_a_crash_that_takes_the_target_a_message_to_end_is_survived_by_nobody(self) -> None:
        counter = await Obedient.start()
        report = await run_chaos_suite(counter, [{"type": "crash", "reason": "planned"}])
        self.assertEqual((1, "planned"), (report.passed, counter.exit_reason))

    async def test_a_crash_that_comes_too_late_fails_and_one_that_chance_spares_does_not(self) -> None:
        counter = await Counter.start()
        entries = [{"type": "crash", "spec": ("random", 0)}, {"type": "crash", "spec": ("after_ms", 50)}]
        asyncio.get_running_loop().call_later(0, counter.exit, KILL)
        report = await run_chaos_suite(counter, entries)
        self.assertEqual([(1, "not_hit")], [(each["index"], each["reason"]) for each in report.failures])

    async def test_a_timeout_of_an_entry_itself_is_an_ordinary_failure(self) -> None:
        async def late(_: Any) -> None:
            raise TimeoutError

        entries = [{"type": "custom", "run": late}, {"type": "custom", "run": lambda _: True}]
        report = await run_chaos_suite(await team("a"), entries, timeout=10)
        self.assertEqual((report.passed, report.failed), (1, 1))

    async def test_nonsense_is_refused(self) -> None:
        supervisor = await team("a")
        with self.assertRaisesRegex(TypeError, "takes a list of entries, got 'kill'"):
            await run_chaos_suite(supervisor, "kill")  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "is a mapping with a 'type', got 'kill'"):
            await run_chaos_suite(supervisor, ["kill"])  # type: ignore[list-item]
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more seconds"):
            await run_chaos_suite(supervisor, [], timeout=-1)
        self.assertEqual((await run_chaos_suite(supervisor, [])).total_scenarios, 0)

    async def test_injectors_work_without_a_test_case(self) -> None:
        supervisor = await team("a", max_restarts=100)
        self.assertEqual((await chaos_kill_children(supervisor, duration_ms=0)).killed, 0)
        self.assertTrue((await inject_crash("a", "immediate")).died)
