"""Fourteen mistakes of libraries of this kind, each with a test that it is not made here."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import unittest
from typing import Any

from supertester import ChaosMixin, HarnessMixin, IsolatedTestCase, OTPAssertions, PerformanceMixin
from supertester._core.clock import ManualClock
from supertester._core.waiting import wait_until
from supertester.errors import UsageError, WaitTimeout
from supertester.harness import Scenario, run_scenario, simple_genserver_scenario
from supertester.isolation import fetch_isolation_context
from supertester.otp import (
    KILLED,
    Agent,
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Supervisor,
    SupervisorSpec,
    flag_trap_exit,
    start_child,
    sys,
    until_idle,
    whereis,
    which_children,
)
from supertester.testing import failure_of, inner_case, run_inner
from tests.alone import alone
from tests.planted import forever
from tests.project.assertions import check_failing_tests
from tests.project.source import check_collectable_names
from tests.project.support import PACKAGE, ROOT, Planted


class Plain(GenServer):
    """Understands nothing, and keeps what it was given."""

    def init(self, state: Any = "untouched") -> Any:
        return state


class Trapping(GenServer):
    """Traps exits, so that it would end with whoever started it; its state is the context that it started in."""

    def init(self) -> Any:
        flag_trap_exit(True)
        return fetch_isolation_context()


class Contextual(GenServer):
    def init(self) -> Any:
        return fetch_isolation_context()


class Pair(Supervisor):
    def init(self, cls: Any = Plain) -> Any:
        children = [ChildSpec(name, cls, kwargs={"name": name}) for name in ("left", "right")]
        return SupervisorSpec(children, max_restarts=1_000)


class Ending(GenServer):
    """Notes in a list when it ends."""

    def init(self, log: list[str], name: str) -> Any:
        flag_trap_exit(True)
        return log, name

    def terminate(self, reason: Any) -> None:
        log, name = self.state
        log.append(name)
        if name == "broken":
            raise OSError("jammed")


class Stuck(GenServer):
    async def handle_info(self, message: Any) -> None:
        await forever()


class TestStarting(OTPAssertions, IsolatedTestCase):
    async def test_01_what_was_started_serves_on_and_its_context_is_the_test_s(self) -> None:
        pool = await self.setup_isolated_supervisor(DynamicSupervisor)
        pair = await self.setup_isolated_supervisor(Pair, init_args=(Trapping,))
        started = [
            await self.setup_isolated_genserver(Trapping),
            await self.setup_isolated_genserver(Contextual, factory=Contextual.start_link),
            await Contextual.start_link(),
            await asyncio.create_task(Trapping.start()),  # whose starter is gone at once
            await start_child(pool, ChildSpec("worker", Contextual)),
            *(row.pid for row in await which_children(pair)),
        ]
        # Whoever began to end with its starter has ended when nobody has anything left to do.
        await until_idle()
        for server in started:
            await self.assert_genserver_responsive(server)
            self.assertIs(await sys.get_state(server), self.isolation)
        for supervisor in (pool, pair):
            await self.assert_all_children_alive(supervisor)
        await started[3].stop()


class TestSubjects(OTPAssertions, PerformanceMixin, IsolatedTestCase):
    async def test_02_no_helper_changes_its_subject(self) -> None:
        pair = await self.setup_isolated_supervisor(Pair)
        left = whereis("left")
        assert left is not None
        await self.wait_for_genserver_sync("left")
        await self.get_server_state_safely("left")
        await self.assert_genserver_responsive("left")
        await self.assert_genserver_state("left", "untouched")
        await self.assert_process_alive("left")
        await self.wait_for_supervision_tree_ready(pair)
        await self.wait_for_supervisor_stabilization(pair)
        await self.wait_for_supervisor_restart(pair)
        await self.assert_supervision_tree_structure(pair, {"children": [("left", Plain), ("right", Plain)]})
        await self.monitor_process_lifecycle("left")
        await self.trace_messages("left", lambda: None)
        await self.measure_mailbox_growth("left", lambda: None)
        with self.assertRaises(WaitTimeout):
            await self.wait_for_process_restart("left", left, 0.0)
        with self.assertRaises(WaitTimeout):
            await self.wait_for_process_death("left", 0.0)
        self.assertIs(whereis("left"), left)
        await self.assert_genserver_state(left, "untouched")
        self.assertEqual(left.recent_messages, [])  # type: ignore[attr-defined]


class TestTeardown(unittest.TestCase):
    def test_03_it_is_newest_first_bounded_and_one_failure_does_not_stop_the_rest(self) -> None:
        log: list[str] = []
        left: list[Any] = []

        async def body(case: Any) -> None:
            children = [ChildSpec(name, Ending, args=(log, name)) for name in ("first child", "second child")]
            await case.setup_isolated_genserver(Ending, init_args=(log, "oldest"))
            await case.setup_isolated_supervisor(Supervisor, init_args=(children,))
            await case.setup_isolated_genserver(Ending, init_args=(log, "broken"))
            stuck = await case.setup_isolated_genserver(Stuck)
            stuck.send("wait forever")
            left.append(stuck)
            case.cleanup_on_exit(lambda: log.append("callback"))
            case.cleanup_on_exit(lambda: 1 / 0)
            await case.cleanup_processes([await Plain.start(), "nobody"])

        report = run_inner(inner_case(body, OTPAssertions)).report
        self.assertEqual(log, ["callback", "broken", "second child", "first child", "oldest"])
        self.assertIn("ZeroDivisionError", report)
        self.assertEqual(left[0].exit_reason, KILLED)


class TestAssertions(Planted):
    @alone("parses much source, which Python 3.11 cannot do in several threads at once")
    def test_04_every_assertion_has_a_test_in_which_it_fails(self) -> None:
        self.assertEqual(check_failing_tests(PACKAGE, ROOT / "tests"), [])
        package = self.plant(case="def assert_tidy(): ...\ndef assert_clean(): ...")
        tests = self.plant(tests__test_case="def test(self):\n    self.assertRaises(E, assert_clean)") / "tests"
        self.assertEqual(check_failing_tests(package, tests)[-1], "assert_tidy has no test in which it fails")

    def test_04_zero_is_zero_and_the_dead_are_dead(self) -> None:
        async def nothing_came(case: Any) -> None:
            await case.assert_telemetry("order.placed", timeout=0)

        async def something_came(case: Any) -> None:
            case.telemetry.attach("order.placed")
            case.telemetry.emit("order.placed")
            await case.refute_telemetry("order.placed", timeout=0)

        async def too_many_came(case: Any) -> None:
            case.telemetry.attach("order.placed")
            case.telemetry.emit("order.placed")
            await case.assert_telemetry_count("order.placed", 0, timeout=0)

        async def no_children(case: Any) -> None:
            await case.assert_child_count(await case.setup_isolated_supervisor(Pair), 0)

        async def dead(case: Any) -> None:
            server = await Plain.start_link()
            await server.stop()
            await case.assert_genserver_responsive(server)

        async def never(case: Any) -> None:
            await case.assert_eventually(lambda: False, within=0)

        for body in (nothing_came, something_came, too_many_came, no_children, dead, never):
            with self.subTest(body=body.__name__):
                self.assertIn("AssertionError", failure_of(body, OTPAssertions))

    def test_04_what_is_unknown_or_empty_is_refused(self) -> None:
        async def body(case: Any) -> None:
            pair = await case.setup_isolated_supervisor(Pair)
            for expected in ({"childs": []}, {"children": [("left", Plain), ("left", Plain)]}):
                with case.assertRaises(UsageError):
                    await case.assert_supervision_tree_structure(pair, expected)
            with case.assertRaises(UsageError):
                await case.concurrent_calls("left", [])
            with case.assertRaises(UsageError):
                await case.concurrent_calls("left", ["value"], 0)
            with case.assertRaises(UsageError):
                await case.stress_test_server("left", [("cast", 1)], 10, workers=0)

        self.assertEqual(run_inner(inner_case(body, OTPAssertions)).report, "")


class TestNeighbours(unittest.TestCase):
    """What is measured here is not what a neighbour does: two tests run at once, in step."""

    def at_once(self, first: Any, second: Any) -> list[str]:
        barrier, reports = threading.Barrier(2, timeout=30), ["", ""]

        def run(index: int, body: Any) -> None:
            async def together(case: Any) -> None:
                await body(case, barrier)

            bases = (OTPAssertions, PerformanceMixin)
            reports[index] = run_inner(inner_case(together, *bases)).report

        threads = [threading.Thread(target=run, args=each) for each in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return reports

    def test_05_no_assertion_compares_what_is_of_the_whole_process(self) -> None:
        async def careful(case: Any, barrier: Any) -> None:
            async with case.no_process_leaks(grace=0.0):
                barrier.wait()  # the neighbour starts a server
                barrier.wait()
            measured = await case.measure_operation(lambda: [barrier.wait() for _ in range(2)], once=True)
            case.assertLess(measured.reductions, 1_000)

        async def busy(case: Any, barrier: Any) -> None:
            barrier.wait()
            await Plain.start_link()
            barrier.wait()
            barrier.wait()
            for _ in range(10_000):
                case.countTestCases()
            barrier.wait()

        self.assertEqual(self.at_once(careful, busy), ["", ""])

    def test_07_logs_events_and_names_belong_to_the_test_that_they_come_from(self) -> None:
        async def body(case: Any, barrier: Any) -> None:
            logger = logging.getLogger("do_not_repeat")
            case.telemetry.attach("order.placed")
            barrier.wait()
            mine = case.isolation.test_id
            server = await case.setup_isolated_genserver(Teller, name="teller")
            with case.logs.capture("INFO") as captured:
                await server.call(mine)
                await asyncio.to_thread(logger.info, "%s in a thread", mine)
                barrier.wait()
            case.assertEqual(captured.text.count("in a"), 2)
            case.assertEqual(captured.text.count(mine), 2)
            [event] = await case.assert_telemetry_count("order.placed", 1)
            case.assertEqual(event.metadata["who"], mine)
            case.assertIs(whereis("teller"), server)

        self.assertEqual(self.at_once(body, body), ["", ""])


class Teller(GenServer):
    def init(self) -> None: ...

    def handle_call(self, request: Any, sender: Any) -> None:
        context = fetch_isolation_context()
        assert context is not None
        logging.getLogger("do_not_repeat").info("%s in a server", request)
        context.feature("telemetry").emit("order.placed", {}, {"who": request})


class Interruption(BaseException):
    """Neither an `Exception` nor one of those that Python has."""


class TestInterruptions(HarnessMixin, IsolatedTestCase):
    async def test_06_whatever_is_raised_the_cleanup_runs_and_every_start_has_its_stop(self) -> None:
        names = ("concurrent.scenario.start", "concurrent.scenario.stop", "chaos.start", "chaos.stop")
        handler = self.telemetry.attach([f"supertester.{name}" for name in names], buffer=True)
        for part in ("setup", "thread", "chaos", "invariant", "cleanup"):
            for error in (OSError, SystemExit, asyncio.CancelledError, Interruption):
                with self.subTest(part=part, error=error):
                    # In a task of its own: before 3.13 a task group that fails leaves its task marked as cancelled.
                    await asyncio.create_task(self.interrupted(part, error))
                    seen = [event.name.removeprefix("supertester.") for event in self.telemetry.flush(handler)]
                    for start, stop in (names[:2], names[2:]):
                        self.assertEqual(seen.count(start), seen.count(stop))
                    self.assertEqual(seen.count("concurrent.scenario.stop"), 1)

    async def interrupted(self, part: str, error: type[BaseException]) -> None:
        subjects: list[Any] = []
        cleaned: list[Any] = []

        def fails_in(name: str) -> None:
            if part == name:
                raise error

        async def setup() -> Any:
            fails_in("setup")
            subjects.append(await Plain.start_link())
            return subjects[0]

        async def cleanup(subject: Any, _context: Any) -> None:
            cleaned.append(subject)
            await subject.stop()
            fails_in("cleanup")

        scenario = Scenario(
            setup,
            [[("custom", lambda _: fails_in("thread"))]],
            chaos=lambda *_: fails_in("chaos"),
            invariant=lambda *_: fails_in("invariant"),
            cleanup=cleanup,
            max_errors=0,
        )
        try:
            self.assertFalse((await run_scenario(scenario)).ok)
        except BaseExceptionGroup as group:  # as a task group has it
            self.assertIs(type(group.exceptions[0]), Interruption)
        except Interruption:
            pass
        self.assertEqual(cleaned, subjects)


@alone("counts what belongs to the whole process")
class TestGrowth(unittest.TestCase):
    def test_08_nothing_of_the_process_grows_with_the_tests(self) -> None:
        async def body(case: Any) -> None:
            case.tables.create("dict")
            case.telemetry.attach("order.placed")
            case.logs.isolate_level("ERROR")
            server = await case.setup_isolated_genserver(Plain)
            with case.logs.capture("INFO"):
                await case.assert_genserver_responsive(server)
            await case.setup_isolated_supervisor(Pair)

        def sizes() -> dict[str, int]:
            root = logging.getLogger()
            return {
                "loggers": len(root.manager.loggerDict),
                "handlers": len(root.handlers),
                "threads": threading.active_count(),
                "exit functions": atexit._ncallbacks(),
            }

        case = inner_case(body, OTPAssertions)
        self.assertEqual(run_inner(case).report, "")
        before = sizes()
        for _ in range(20):
            run_inner(case)
        self.assertEqual(sizes(), before)


THING = {"the": "original"}
TABLE: dict[str, int] = {"kept": 1}


class TestRestoring(unittest.TestCase):
    def test_09_what_was_injected_is_restored_once_from_any_thread(self) -> None:
        async def body(case: Any) -> None:
            restore = case.tables.inject(__name__, "THING", {"mine": 1})
            case.assertEqual(THING, {"mine": 1})
            await asyncio.to_thread(restore)
            case.assertEqual(THING, {"the": "original"})
            again = case.tables.inject(__name__, "THING", {"mine": 2})
            restore()  # is spent, and must not undo the other one
            case.assertEqual(THING, {"mine": 2})
            again()
            case.tables.mirror(f"{__name__}:TABLE")
            TABLE["mine"] = 2

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual((THING, TABLE), ({"the": "original"}, {"kept": 1}))


class TestTime(IsolatedTestCase):
    async def test_10_one_deadline_a_last_look_and_what_was_seen(self) -> None:
        clock, looks = ManualClock(), []

        def look() -> bool:
            looks.append(clock.time())
            return clock.time() >= 2.0

        waiting = asyncio.create_task(wait_until(look, "the end", timeout=2.0, clock=clock))
        while not waiting.done():
            await asyncio.sleep(0)
            clock.advance(0.5)
        self.assertTrue(await waiting)
        with self.assertRaisesRegex(WaitTimeout, "waiting for three; last seen: 2"):
            await wait_until(lambda: False, "three", timeout=0, seen=lambda: "2")
        scenario = Scenario(
            Plain.start_link, [[("custom", lambda _: forever())]], chaos=lambda *_: forever(), timeout_ms=500
        )
        report = await run_scenario(scenario)
        self.assertEqual(report.error[:2], ("thread_failure", "timeout"))  # type: ignore[index]
        self.assertIn("thread 1 in step 1: custom", str(report))


class TestOptions(unittest.TestCase):
    def test_11_unknown_options_are_refused(self) -> None:
        def scenario(**options: Any) -> Any:
            return Scenario(Plain.start_link, [["value"]], **options)

        makers: list[Any] = [
            scenario,
            lambda **options: simple_genserver_scenario(Plain, ["value"], 2, **options),
            lambda **options: ChildSpec("id", Plain, **options),
            lambda **options: type("Odd", (IsolatedTestCase,), {}, **options),
        ]
        for make in makers:
            with self.subTest(make=make), self.assertRaises(TypeError):
                make(invarient=print)

    def test_11_unknown_options_of_helpers_are_refused(self) -> None:
        async def body(case: Any) -> None:
            pair = await case.setup_isolated_supervisor(Pair)
            measured = await case.measure_operation(lambda: None)
            helpers = [
                lambda **options: case.setup_isolated_genserver(Plain, **options),
                lambda **options: case.chaos_kill_children(pair, **options),
                lambda **options: case.concurrent_calls("left", ["value"], **options),
                lambda **options: case.assert_expectations(measured, **options),
                lambda **options: case.assert_performance(lambda: None, **options),
                lambda **options: case.run_with_performance(simple_genserver_scenario(Plain, ["x"], 1), **options),
                lambda **options: case.telemetry.attach("order.placed", **options),
            ]
            for helper in helpers:
                with case.subTest(helper=helper), case.assertRaises(TypeError):
                    await helper(invarient=3)

        bases = (OTPAssertions, ChaosMixin, PerformanceMixin, HarnessMixin)
        self.assertEqual(run_inner(inner_case(body, *bases)).report, "")


class TestSeeds(OTPAssertions, ChaosMixin, IsolatedTestCase):
    async def test_12_random_choices_take_a_seed_and_tell_it(self) -> None:
        async def first_victim(seed: int | None) -> tuple[Any, Any]:
            pair = await self.setup_isolated_supervisor(Pair)
            report = await self.chaos_kill_children(pair, kill_rate=0.5, duration_ms=1, kill_interval_ms=1, seed=seed)
            await pair.stop()
            return report.seed, report.journal[0].details["id"]

        drawn, victim = await first_victim(None)
        self.assertEqual(await first_victim(drawn), (drawn, victim))
        victims = [(await first_victim(seed))[1] for seed in [*range(8), *range(8)]]
        self.assertEqual(victims[:8], victims[8:])
        self.assertEqual(len(set(victims)), 2)
        agent = await Agent.start_link(0)
        injections = [await self.inject_crash(agent, ("random", 0.0), seed=3)]
        self.assertFalse(injections[0].fired)
        self.assertIn("SUPERTESTER_SEED=", await asyncio.to_thread(failure_of, lambda case: case.fail("no")))


class TestTheProject(Planted):
    def test_13_examples_and_pages_run_wherever_the_tests_do(self) -> None:
        tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
        [environments] = [line for line in tox.splitlines() if line.startswith("env_list")]
        self.assertIn("docs", environments)
        self.assertIn("examples", environments)
        self.assertIn("discover -s tests/docs -t .", tox)
        self.assertIn("change_dir = {tox_root}{/}examples{/}echo_lab", tox)
        self.assertIn("tox -p", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
        # That a block which fails fails the tests is planted there:
        self.assertIn("def test_a_block_that_raises_fails", (ROOT / "tests/docs/test_blocks.py").read_text("utf-8"))

    @alone("parses much source, which Python 3.11 cannot do in several threads at once")
    def test_14_nothing_public_would_be_collected_as_a_test(self) -> None:
        self.assertEqual(check_collectable_names(PACKAGE), [])
        package = self.plant(case="def test_restart_strategy(): ...")
        [found] = check_collectable_names(package)
        self.assertIn("would collect 'test_restart_strategy'", found)
