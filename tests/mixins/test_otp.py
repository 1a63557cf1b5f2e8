"""`OTPAssertions`: each helper where all is well, and each assertion in a test that has to fail for it."""

from __future__ import annotations

import inspect
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import supertester
from supertester import leaks, performance, processes, servers, supervision, tracing
from supertester._core.outcome import Outcome
from supertester.case import IsolatedTestCase
from supertester.errors import MissingSyncHandler, WaitTimeout
from supertester.mixins.otp import OTPAssertions
from supertester.otp import KILL, KILLED, ChildSpec, DynamicSupervisor, Supervisor, start_child, whereis
from supertester.testing import check_planted_bug, failure_of, inner_case, run_inner
from tests.subjects import Busy, Counter, Dies, Forgetful, counter_spec


class Case(OTPAssertions, IsolatedTestCase):
    """A test as users write it."""

    async def counter(self, start: int = 0, **options: Any) -> Any:
        return await self.setup_isolated_genserver(Counter, init_args=(start,), **options)

    async def team(self, *names: str, **options: Any) -> Any:
        children = [counter_spec(name) for name in names]
        return await self.setup_isolated_supervisor(Supervisor, init_args=(children,), **options)


class TestHelpers(Case):
    async def test_synchronise(self) -> None:
        server = await self.counter(name="it")
        self.assertIs(await self.wait_for_genserver_sync("it"), server)
        self.assertIsNone(await self.cast_and_sync("it", ("add", 1)))
        self.assertEqual(await self.cast_and_sync("it", ("add", 1), "value"), 2)
        self.assertEqual(await self.get_server_state_safely(server), Outcome({"count": 2}))
        self.assertEqual(await self.call_with_timeout(server, "value"), Outcome(2))
        await self.until_idle()
        await self.until_idle(server)

    async def test_wait(self) -> None:
        supervisor = await self.team("a", "b", name="team")
        first = whereis("a")
        assert first is not None
        monitor = await self.monitor_process_lifecycle("a")
        first.exit(KILL)
        self.assertEqual(await self.wait_for_process_death(first), KILLED)
        second = await self.wait_for_process_restart("a", first)
        self.assertIs(second, whereis("a"))
        self.assertEqual(await monitor, KILLED)
        for wait in (
            self.wait_for_supervisor_restart,
            self.wait_for_supervision_tree_ready,
            self.wait_for_supervisor_stabilization,
        ):
            self.assertIs(await wait("team"), supervisor)
        self.assertEqual(await self.get_active_child_count(supervisor), 2)

    async def test_load_and_probe(self) -> None:
        await self.team("a")
        [results] = await self.concurrent_calls("a", ["value"], 3)
        self.assertEqual(results.successes, (0, 0, 0))
        report = await self.stress_test_server("a", [("call", "value")], 0, workers=2)
        self.assertEqual(report.seed, self.isolation.seed)
        self.assertTrue((await self.probe_crash_recovery("a", KILL)).recovered)
        self.assertTrue((await self.probe_invalid_messages("a", ["x"])).survived)

    async def test_clean_up(self) -> None:
        server = await self.counter()
        await self.cleanup_processes([server])
        self.assertFalse(server.is_alive())


class TestAssertionsPass(Case):
    async def test_on_processes(self) -> None:
        await self.team("a")
        first = whereis("a")
        assert first is not None
        await self.assert_process_alive("a")
        first.exit(KILL)
        await self.assert_process_dead(first)
        await self.assert_process_restarted("a", first, within=1.0)

    async def test_on_servers(self) -> None:
        server = await self.counter(5)
        await self.assert_genserver_state(server, {"count": 5})
        await self.assert_genserver_state(server, lambda state: state["count"] > 4)
        await self.assert_genserver_responsive(server)
        await self.assert_genserver_handles_message(server, "value", 5)

    async def test_on_supervisors(self) -> None:
        supervisor = await self.team("a", "b", strategy="one_for_all")
        await self.assert_child_count(supervisor, 2)
        await self.assert_all_children_alive(supervisor)
        await self.assert_supervisor_strategy(supervisor, "one_for_all")

    async def test_on_anything(self) -> None:
        server = await self.counter(5)
        await self.assert_eventually(lambda: server.call("value"))
        await self.assert_always(server.is_alive, during=0)
        await self.assert_memory_usage_stable(lambda: None)
        await self.assert_performance_within_bounds({"max_time": 1}, {"max_time": 2})

        async def clean() -> None:
            await (await Counter.start()).stop()

        await self.assert_no_process_leaks(clean)
        async with self.no_process_leaks() as found:
            await clean()
        self.assertEqual(found.left, [])


class TestSupervisionHelpers(Case):
    async def test_restarts(self) -> None:
        supervisor = await self.team("a", "b", strategy="one_for_all")
        result = await self.probe_restart_strategy(supervisor, "one_for_all", ("kill_child", "a"), reason="planned")
        self.assertEqual(result.restarted, ("a", "b"))

    async def test_the_end_of_the_supervisor_is_a_result(self) -> None:
        supervisor = await self.team("a", max_restarts=1)
        result = await self.probe_restart_strategy(supervisor, "one_for_one", ("cascade_failure", "a"))
        self.assertFalse(result.supervisor_alive)

    async def test_traces(self) -> None:
        supervisor = await self.team("a")
        server = whereis("a")
        assert server is not None
        async with self.trace_supervision_events(supervisor) as events:
            with self.trace("a") as flow:
                await server.call("value")
            trace = await self.trace_messages(server, lambda: server.cast(("add", 1)))
            server.exit(KILL)
        self.assertEqual([event.reason for event in events.events], [KILLED, KILLED])
        self.assertEqual([each.kind for each in flow.deliveries], ["call", "reply"])
        self.assertIs(flow.deliveries[1].receiver, self.isolation.root)
        self.assertEqual(trace.messages, (("add", 1),))
        trace_again = await self.trace_supervision_events(supervisor)
        self.assertEqual(await trace_again.stop(), [])


class TestAssertionsFail(unittest.TestCase):
    def fails(self, body: Callable[[Any], Any], *patterns: str) -> None:
        """Run *body*, which has to fail with a message that has all *patterns*, and not as an error."""
        result = run_inner(inner_case(body, Case))
        self.assertEqual([kind for kind in result.kinds if kind not in ("start", "stop")], ["failure"], result.report)
        for pattern in patterns:
            self.assertRegex(result.report, pattern)

    def test_assert_process_alive(self) -> None:
        async def body(case: Case) -> None:
            server = await case.counter()
            await server.call("value")
            server.exit(KILL)
            await case.assert_process_alive(server)

        self.fails(body, r"AssertionError: <Pid .* is dead\n  1\. call 'value'\n  2\. exit KILLED")

    def test_assert_process_dead(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_process_dead(await case.counter(name="it"))

        self.fails(body, r"AssertionError: <Pid \d+ Counter 'it'> is alive")

    def test_assert_process_restarted(self) -> None:
        async def body(case: Case) -> None:
            server = await case.counter(name="it")
            server.exit(KILL)
            await case.assert_process_restarted("it", server)

        self.fails(body, "'it' was not restarted: no process is registered as 'it'\n  1. exit KILLED")

    def test_assert_genserver_state(self) -> None:
        async def body(case: Case) -> None:
            server = await case.counter(5)
            await case.cast_and_sync(server, ("add", 1))
            await case.assert_genserver_state(server, {"count": 5})

        self.fails(body, r"- \{'count': 5\}\n", r"\n\+ \{'count': 6\}\n", r"\n  1\. cast \('add', 1\)")

    def test_assert_genserver_state_with_a_function(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_genserver_state(await case.counter(5), lambda state: state["count"] == 6)

        self.fails(body, r"does not satisfy .*<lambda>: \{'count': 5\}")

    def test_assert_genserver_state_of_the_unknown(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_genserver_state("nobody", 1)

        self.fails(body, "AssertionError: no process is registered as 'nobody'")

    def test_assert_genserver_responsive(self) -> None:
        async def body(case: Case) -> None:
            server = await case.setup_isolated_genserver(Busy)
            server.cast("work")
            await case.assert_genserver_responsive(server, timeout=0)

        self.fails(body, r"timed out after 0 s waiting for <Pid \d+ Busy .*\n  1\. cast 'work'")

    def test_assert_genserver_handles_message(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_genserver_handles_message(await case.counter(5), "value", 6)

        self.fails(body, r"the reply of <Pid .* to 'value' is not as expected", r"- 6\n\+ 5\n  1\. call 'value'")

    def test_assert_child_count(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_child_count(await case.team("a"), 2)

        self.fails(body, r"runs 1 children, expected 2\n  1\. 'a' is <Pid")

    def test_assert_all_children_alive(self) -> None:
        async def body(case: Case) -> None:
            spec = ChildSpec("brief", Dies, restart="transient")
            supervisor = await case.setup_isolated_supervisor(Supervisor, init_args=([spec],))
            await case.wait_for_process_death(supervisor)
            await case.assert_all_children_alive(supervisor)

        self.fails(body, r"AssertionError: <Pid .* is dead", "exit SHUTDOWN", "death of <Pid .* dead: 'died at once'")

    def test_assert_supervisor_strategy(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_supervisor_strategy(await case.team(), "one_for_all")

        self.fails(body, "is 'one_for_one', expected 'one_for_all'")

    def test_assert_no_process_leaks(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_no_process_leaks(lambda: Counter.start_link(name="it"), grace=0)

        self.fails(body, r"1 process was left running\n  1\. <Pid \d+ Counter 'it'>, started by <Pid \d+ root>")

    def test_no_process_leaks(self) -> None:
        async def body(case: Case) -> None:
            async with case.no_process_leaks(grace=0, msg="in my block"):
                await Counter.start_link()

        self.fails(body, "1 process was left running(?s:.*) : in my block")

    def test_assert_supervision_tree_structure(self) -> None:
        async def body(case: Case) -> None:
            supervisor = await case.team("a", "b")
            await case.assert_supervision_tree_structure(
                supervisor, {"strategy": "one_for_all", "children": [("a", Counter), ("b", Busy)]}
            )

        self.fails(
            body,
            "the supervision tree is not as expected:\n  strategy is 'one_for_one', expected 'one_for_all'\n"
            "  child 'b' is of Counter, expected Busy",
            r"2\.   'a': Counter, permanent worker, <Pid",
        )

    def test_assert_memory_usage_stable(self) -> None:
        async def body(case: Case) -> None:
            kept: list[Any] = []
            await case.assert_memory_usage_stable(lambda: kept.append(bytearray(1_000_000)), 0)

        self.fails(body, r"the memory in use grew by \d+ bytes, .*expected at most 0.0%\n  1\. \d+ bytes kept from")

    def test_assert_performance_within_bounds(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_performance_within_bounds({"max_time": 3}, {"max_time": 2})

        self.fails(body, "max_time is 3, expected at most 2")

    def test_assert_eventually(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_eventually(list, within=0)

        self.fails(body, r"list was not true; last seen: \[\]")

    def test_assert_always(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_always(lambda: 0, during=0)

        self.fails(body, r"<lambda> was not true after \S+ s; it gave 0")

    def test_waits(self) -> None:
        async def death(case: Case) -> None:
            await case.wait_for_process_death(await case.counter(), 0)

        async def restart(case: Case) -> None:
            server = await case.counter(name="it")
            await case.wait_for_process_restart("it", server, 0)

        async def sync(case: Case) -> None:
            server = await case.setup_isolated_genserver(Busy)
            await case.cast_and_sync(server, "work", timeout=0)

        async def supervisor(case: Case) -> None:
            await case.wait_for_supervisor_restart("nobody", 0)

        self.fails(death, "WaitTimeout: timed out after 0 s waiting for the death of .*last seen: it is alive")
        self.fails(restart, r"another process than <Pid .* as 'it'; last seen: still <Pid")
        self.fails(sync, r"it was to handle the cast 'work'\n  1\. cast 'work'")
        self.fails(supervisor, "no process is registered as 'nobody'")

    def test_a_message_of_ones_own_is_added(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_process_alive("nobody", msg="the cache")

        self.fails(body, "AssertionError: no process is registered as 'nobody' : the cache")

    def test_the_traceback_ends_at_the_users_line(self) -> None:
        async def body(case: Case) -> None:
            await case.assert_process_alive("nobody")

        report = failure_of(body, Case)
        self.assertNotIn(str(Path("supertester", "mixins")), report)
        self.assertIn('await case.assert_process_alive("nobody")', report)


class TestPlantedBugs(unittest.TestCase):
    def found(self, sound: Callable[[Any], Any], buggy: Callable[[Any], Any], expected: str) -> None:
        self.assertIsNone(check_planted_bug(sound, buggy, Case, expected=expected))

    def test_a_server_that_loses_a_cast(self) -> None:
        def adding(cls: type) -> Callable[[Case], Any]:
            async def body(case: Case) -> None:
                server = await case.setup_isolated_genserver(cls)
                await case.cast_and_sync(server, ("add", 1))
                await case.assert_genserver_state(server, {"count": 1})

            return body

        self.found(adding(Counter), adding(Forgetful), "+ {'count': 0}")

    def test_a_leak_through_an_outer_supervisor(self) -> None:
        def starting(*, stops: bool) -> Callable[[Case], Any]:
            async def body(case: Case) -> None:
                pool = await case.setup_isolated_supervisor(DynamicSupervisor)

                async def start() -> None:
                    child = await start_child(pool, counter_spec("job", restart="temporary"))
                    if stops:
                        await child.stop()

                await case.assert_no_process_leaks(start, grace=0)

            return body

        self.found(starting(stops=True), starting(stops=False), "1 process was left running")

    def test_a_child_that_is_not_restarted(self) -> None:
        def killing(restart: str) -> Callable[[Case], Any]:
            async def body(case: Case) -> None:
                spec = counter_spec("a", restart=restart)
                supervisor = await case.setup_isolated_supervisor(Supervisor, init_args=([spec],))
                first = whereis("a")
                assert first is not None
                first.exit(KILL)
                await case.wait_for_supervisor_stabilization(supervisor)
                await case.assert_process_restarted("a", first)

            return body

        self.found(killing("transient"), killing("temporary"), "'a' was not restarted")

    def test_a_crash_that_nobody_looked_at(self) -> None:
        def casting(message: Any) -> Callable[[Case], Any]:
            async def body(case: Case) -> None:
                server = await case.counter()
                server.cast(message)
                await case.until_idle()
                await case.assert_genserver_responsive(server)

            return body

        self.found(casting("fine"), casting("crash"), "exit Crash(OSError('asked to crash'))")


class TestTheMixin(unittest.TestCase):
    def test_has_no_state_and_no_fixtures(self) -> None:
        self.assertEqual(
            {"__init__", "setUp", "asyncSetUp", "tearDown", "asyncTearDown"} & set(vars(OTPAssertions)), set()
        )

    def test_covers_every_function_of_its_modules(self) -> None:
        renamed = {"watched_processes": "no_process_leaks", "measure_memory_usage": "assert_memory_usage_stable"}
        internal = {"listening", "started_and_responsive", "setup_isolated_genserver", "setup_isolated_supervisor"}
        # What else `performance` has belongs to `PerformanceMixin`.
        of_performance = ("check_memory_usage_stable", "check_performance_within_bounds")
        for module in (leaks, performance, processes, servers, supervision, tracing):
            for name in of_performance if module is performance else module.__all__:
                if inspect.isfunction(getattr(module, name)) and name not in internal:
                    method = renamed.get(name, name.replace("check_", "assert_"))
                    with self.subTest(name=name):
                        self.assertTrue(callable(getattr(OTPAssertions, method, None)), f"no method {method}")

    def test_registers_cleanups(self) -> None:
        called: list[int] = []

        async def body(case: Case) -> None:
            case.cleanup_on_exit(lambda: called.append(1))
            self.assertEqual(called, [])

        self.assertTrue(run_inner(inner_case(body, Case)).wasSuccessful())
        self.assertEqual(called, [1])

    def test_has_a_docstring_for_each_method(self) -> None:
        for name, method in vars(OTPAssertions).items():
            if not name.startswith("_"):
                self.assertTrue(inspect.getdoc(method), name)

    def test_works_on_any_case_with_async_tests(self) -> None:
        class Plain(OTPAssertions, unittest.IsolatedAsyncioTestCase):
            async def test(self) -> None:
                server = await Counter.start_link(5)
                await self.cast_and_sync(server, ("add", 1))
                await self.assert_genserver_state(server, {"count": 6})
                await self.assert_genserver_state(server, {"count": 7})

        [(_, report)] = run_inner(Plain("test")).failures
        self.assertIn("+ {'count': 6}", report)

    def test_is_on_the_facade(self) -> None:
        self.assertIs(supertester.OTPAssertions, OTPAssertions)

    def test_a_server_that_cannot_be_synchronised_with_is_an_error_of_the_test(self) -> None:
        async def body(case: Case) -> None:
            await case.cast_and_sync(object(), "x")

        result = run_inner(inner_case(body, Case))
        [(_, report)] = result.errors
        self.assertIn(MissingSyncHandler.__name__, report)
        self.assertTrue(issubclass(WaitTimeout, AssertionError))
