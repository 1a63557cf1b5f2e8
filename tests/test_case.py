"""`IsolatedTestCase` as its users see it, beside stock `unittest`."""

import asyncio
import contextvars
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from supertester import tag
from supertester.case import IsolatedTestCase
from supertester.env import current_env
from supertester.errors import CallExit, UsageError
from supertester.isolation import fetch_isolation_context
from supertester.otp import KILL, Agent, GenServer, current_runtime, exit, self_pid
from supertester.testing import RecordingResult, failure_of, inner_case, run_inner
from tests.interruptible import PYTHON
from tests.planted import forever

try:
    import uvloop
except ImportError:
    uvloop = None

ROOT = Path(__file__).parents[1]
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class TestClassKeywords(unittest.TestCase):
    def test_an_unknown_one_is_refused_when_the_class_is_made(self) -> None:
        with self.assertRaisesRegex(TypeError, "unknown class keyword 'logz'.*did you mean 'logs'.*the known ones are"):

            class Wrong(IsolatedTestCase, logz=True):
                pass

    def test_a_bad_value_is_refused_when_the_class_is_made(self) -> None:
        with self.assertRaisesRegex(UsageError, "unknown isolation mode 'total'"):

            class Wrong(IsolatedTestCase, isolation="total"):
                pass

    def test_are_inherited_and_merged_from_all_bases(self) -> None:
        class One(IsolatedTestCase, isolation="basic"):
            pass

        class Two(IsolatedTestCase, debug=True):
            pass

        class Both(One, Two, timeout=5.0):
            async def test(self) -> None:
                self.assertEqual(self.isolation.mode, "basic")
                self.assertTrue(asyncio.get_running_loop().get_debug())

        self.assertEqual(run_inner(Both("test")).report, "")

    def test_debug_mode_is_off_unless_asked_for(self) -> None:
        async def body(case: Any) -> None:
            case.assertFalse(asyncio.get_running_loop().get_debug())

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_crashes_can_fail_the_test(self) -> None:
        async def body(case: Any) -> None:
            server = await GenServer.start_link(name="server")
            exit(server, KILL)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertRegex(failure_of(body, crashes="fail"), r"<Pid \d+ GenServer 'server' .* crashed: KILLED")

    def test_what_the_cleanup_stops_did_not_crash(self) -> None:
        async def body(case: Any) -> None:
            await GenServer.start_link()

        self.assertEqual(run_inner(inner_case(body, crashes="fail")).report, "")


class TestIsolation(IsolatedTestCase):
    """Run for real, not inside of another test."""

    @tag(layer="unit", owner="me")
    async def test_the_context_knows_the_test(self) -> None:
        tags = self.isolation.tags
        self.assertEqual(
            (tags["module"], tags["class"], tags["test"], tags["mode"]),
            (__name__, "TestIsolation", "test_the_context_knows_the_test", "full_isolation"),
        )
        self.assertEqual((tags["layer"], tags["owner"], tags["file"]), ("unit", "me", __file__))
        self.assertIsInstance(tags["line"], int)
        self.assertIn(self.id(), self.isolation.test_id)
        self.assertIs(self.isolation.env, current_env())

    async def test_the_body_is_the_root_process(self) -> None:
        self.assertIs(self_pid(), self.isolation.root)
        self.assertIs(current_runtime(), self.isolation.runtime)
        self.assertIs(fetch_isolation_context(), self.isolation)

    async def test_so_is_a_task(self) -> None:
        async def inner() -> None:
            self.assertIs(self_pid(), self.isolation.root)
            self.assertIs(fetch_isolation_context(), self.isolation)

        await asyncio.create_task(inner())

    async def test_the_registry_is_the_tests_own(self) -> None:
        server = await GenServer.start_link(name="server")
        self.assertEqual(self.isolation.registry, {"server": server})

    async def test_the_clock_is_that_of_the_loop(self) -> None:
        assert self.isolation.clock is not None
        self.assertAlmostEqual(self.isolation.clock.time(), asyncio.get_running_loop().time(), delta=5.0)

    async def test_helpers_start_servers_under_names_of_their_own(self) -> None:
        one = await self.setup_isolated_genserver(Agent, init_args=(5,))
        two = await self.setup_isolated_genserver(Agent, init_args=(6,))
        self.assertNotEqual(one.name, two.name)
        self.assertEqual([await Agent.get(agent) for agent in (one, two)], [5, 6])
        self.assertEqual([info.pid for info in self.isolation.processes], [one, two])
        self.assertIn("Agent", self.isolation.summary())


class TestBehaviourOfUnittest(unittest.TestCase):
    """Every class is run twice, over the stock base class and over ours: the same events have to come out."""

    def compare(self, make: Any) -> RecordingResult:
        stock, ours = (run_inner(make(base)) for base in (unittest.IsolatedAsyncioTestCase, IsolatedTestCase))
        self.assertEqual(ours.kinds, stock.kinds)
        return ours

    def test_order_of_fixtures_and_cleanups(self) -> None:
        logs: dict[type, list[str]] = {}

        def make(base: type) -> Any:
            log = logs.setdefault(base, [])

            class Inner(base):  # type: ignore[misc]
                def setUp(self) -> None:
                    log.append(f"setUp {variable.get()}")
                    self.addCleanup(log.append, "cleanup of setUp")
                    variable.set("by setUp")

                async def asyncSetUp(self) -> None:
                    log.append(f"asyncSetUp {variable.get()}")
                    variable.set("by asyncSetUp")
                    self.addAsyncCleanup(self.note, "async cleanup")

                async def note(self, what: str) -> None:
                    log.append(f"{what} {variable.get()}")

                async def test(self) -> None:
                    log.append(f"test {variable.get()}")
                    variable.set("by test")

                async def asyncTearDown(self) -> None:
                    log.append(f"asyncTearDown {variable.get()}")

                def tearDown(self) -> None:
                    log.append(f"tearDown {variable.get()}")

            return Inner

        self.compare(make)
        stock, ours = logs.values()
        self.assertEqual(ours, stock)
        self.assertEqual(len(ours), 7)
        self.assertEqual(variable.get(), "unset")

    def test_failures_errors_skips_and_expectations(self) -> None:  # noqa: C901 - one small method per outcome
        def make(base: type) -> Any:  # noqa: C901
            class Inner(base):  # type: ignore[misc]
                async def test_a_failure(self) -> None:
                    self.fail("planted")

                def test_b_error(self) -> None:
                    raise KeyError("planted")

                async def test_c_skip(self) -> None:
                    self.skipTest("planted")

                @unittest.skip("planted")
                async def test_d_skip(self) -> None: ...

                @unittest.expectedFailure
                async def test_e_expected(self) -> None:
                    self.fail("planted")

                @unittest.expectedFailure
                async def test_f_unexpected(self) -> None: ...

                async def test_g_subtests(self) -> None:
                    for number in range(3):
                        with self.subTest("counting", number=number):
                            self.assertNotEqual(number, 1)

                async def test_h_cancelled(self) -> None:
                    raise asyncio.CancelledError

                async def test_i_exit(self) -> None:
                    sys.exit(3)

            return Inner

        result = self.compare(make)
        self.assertEqual(result.testsRun, 9 - (sys.version_info[:2] == (3, 12)))

    def test_failing_fixtures(self) -> None:
        def make(base: type) -> Any:
            suite = unittest.TestSuite()
            for name in ("setUp", "asyncSetUp", "asyncTearDown", "tearDown"):
                if name.startswith("async"):

                    async def broken(self: Any) -> None:
                        raise OSError("planted")
                else:

                    def broken(self: Any) -> None:  # type: ignore[misc]
                        raise OSError("planted")

                async def test(self: Any) -> None: ...

                suite.addTest(type("Inner", (base,), {name: broken, "test": test})("test"))
            return suite

        errors = [text for _, text in self.compare(make).errors]
        self.assertEqual(len(errors), 4)
        for each in errors:
            self.assertIn("OSError: planted", each)

    def test_skip_in_a_set_up(self) -> None:
        def make(base: type) -> Any:
            class Inner(base):  # type: ignore[misc]
                async def asyncSetUp(self) -> None:
                    self.skipTest("planted")

                async def test(self) -> None: ...

            return Inner

        self.assertEqual(self.compare(make).kinds, ["start", "skip", "stop"])

    def test_enter_context_and_enter_async_context(self) -> None:
        log: list[str] = []

        class Manager:
            def __enter__(self) -> str:
                return "plain"

            def __exit__(self, *args: object) -> None:
                log.append("plain left")

            async def __aenter__(self) -> str:
                return "async"

            async def __aexit__(self, *args: object) -> None:
                log.append("async left")

        async def body(case: Any) -> None:
            case.assertEqual(case.enterContext(Manager()), "plain")
            case.assertEqual(await case.enterAsyncContext(Manager()), "async")

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(log, ["async left", "plain left"])

    def test_the_loop_is_current_in_a_plain_set_up(self) -> None:
        class Inner(IsolatedTestCase):
            def setUp(self) -> None:
                self.loop = asyncio.get_event_loop_policy().get_event_loop()

            async def test(self) -> None:
                self.assertIs(asyncio.get_running_loop(), self.loop)

        self.assertEqual(run_inner(Inner("test")).report, "")

    def test_each_test_has_a_loop_of_its_own_which_is_closed(self) -> None:
        loops: list[asyncio.AbstractEventLoop] = []

        async def body(case: Any) -> None:
            loops.append(asyncio.get_running_loop())

        case = inner_case(body)
        run_inner(case)
        run_inner(case)  # The same case can run again.
        self.assertIsNot(loops[0], loops[1])
        self.assertTrue(all(loop.is_closed() for loop in loops))

    def test_what_the_test_leaves_to_the_loop_is_ended_with_it(self) -> None:
        log: list[str] = []
        workers: list[threading.Thread] = []

        async def numbers() -> Any:
            try:
                yield 1
            finally:
                log.append("generator closed")

        def job() -> None:
            log.append("executor")
            workers.append(threading.current_thread())

        async def body(case: Any) -> None:
            case.generator = numbers()
            await anext(case.generator)
            await asyncio.get_running_loop().run_in_executor(None, job)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(log, ["executor", "generator closed"])
        self.assertFalse(workers[0].is_alive())

    def test_a_loop_factory_makes_the_loops(self) -> None:
        class Loop(asyncio.SelectorEventLoop):
            pass

        class Inner(IsolatedTestCase):
            loop_factory = Loop

            async def test(self) -> None:
                self.assertIs(type(asyncio.get_running_loop()), Loop)

        self.assertEqual(run_inner(Inner("test")).report, "")

    @unittest.skipIf(uvloop is None, "uvloop is not installed")
    def test_uvloop_will_do(self) -> None:
        class Inner(IsolatedTestCase):
            loop_factory = uvloop.new_event_loop

            async def test(self) -> None:
                server = await self.setup_isolated_genserver(Agent, init_args=(5,))
                self.assertEqual(await Agent.get(server), 5)
                asyncio.create_task(forever())

        [(_, report)] = run_inner(Inner("test")).failures
        self.assertIn("task 'forever' (created at", report)

    def test_debug_raises_the_first_error_and_cleans_up(self) -> None:
        servers: list[Any] = []

        async def body(case: Any) -> None:
            servers.append(await GenServer.start_link())
            case.fail("planted")

        with self.assertRaisesRegex(AssertionError, "planted"):
            inner_case(body).debug()
        self.assertFalse(servers[0].is_alive())

    def test_debug_raises_what_the_test_left_behind(self) -> None:
        async def body(case: Any) -> None:
            asyncio.create_task(forever())

        with self.assertRaisesRegex(AssertionError, "task 'forever'"):
            inner_case(body).debug()

    def test_a_test_can_be_any_callable_and_have_no_limit(self) -> None:
        log: list[str] = []

        class Inner(IsolatedTestCase, timeout=None):
            test = staticmethod(partial(log.append, "test"))

            def setUp(self) -> None:
                self.addCleanup(log.append, "cleanup")
                self.assertNotIn("file", self.isolation.tags)

        self.assertEqual(run_inner(Inner("test")).report, "")
        self.assertEqual(log, ["test", "cleanup"])

    def test_leaks_are_no_expected_failure(self) -> None:
        class Inner(IsolatedTestCase):
            @unittest.expectedFailure
            async def test(self) -> None:
                asyncio.create_task(forever())
                self.fail("expected")

        self.assertEqual(run_inner(Inner("test")).kinds, ["start", "failure", "stop"])


class TestClassFixtures(unittest.TestCase):
    def test_a_test_method_may_be_an_attribute_of_the_instance(self) -> None:
        class Inner(IsolatedTestCase):
            def __init__(self, name: str) -> None:
                self.test_made = lambda: self.skipTest("made")
                super().__init__(name)

        self.assertEqual(run_inner(Inner("test_made")).kinds, ["start", "skip", "stop"])

    def test_async_ones_run_around_the_tests_in_a_loop_of_the_class(self) -> None:
        class Inner(IsolatedTestCase):
            log: ClassVar[list[str]] = []

            @classmethod
            async def asyncSetUpClass(cls) -> None:
                cls.loop = asyncio.get_running_loop()
                variable.set("by the class")
                cls.log.append("set up")

            async def test(self) -> None:
                self.assertIsNot(asyncio.get_running_loop(), self.loop)
                self.log.append("test")

            @classmethod
            async def asyncTearDownClass(cls) -> None:
                cls.log.append(f"torn down {variable.get()}")

        self.assertEqual(run_inner(Inner).report, "")
        self.assertEqual(Inner.log, ["set up", "test", "torn down by the class"])
        self.assertTrue(Inner.loop.is_closed())

    def test_one_that_an_override_leaves_out_is_missed(self) -> None:
        class Inner(IsolatedTestCase):
            @classmethod
            def setUpClass(cls) -> None: ...

            @classmethod
            async def asyncSetUpClass(cls) -> None: ...

            async def test(self) -> None: ...

        result = run_inner(Inner)
        self.assertEqual(result.kinds, ["start", "error", "stop"])
        self.assertIn(
            "Inner.setUpClass() did not call super().setUpClass(), which runs asyncSetUpClass()", result.report
        )

    def test_one_that_is_not_torn_down_is_missed(self) -> None:
        class Inner(IsolatedTestCase):
            @classmethod
            def tearDownClass(cls) -> None: ...

            @classmethod
            async def asyncTearDownClass(cls) -> None: ...

            async def test(self) -> None: ...

        result = run_inner(Inner)
        self.assertEqual(result.kinds, ["start", "success", "stop", "error"])
        self.assertIn("Inner.tearDownClass() did not call super().tearDownClass(), which runs asyncTear", result.report)

    def test_a_failing_one_is_an_error_of_the_class(self) -> None:
        class Inner(IsolatedTestCase):
            @classmethod
            async def asyncSetUpClass(cls) -> None:
                raise OSError("planted")

            async def test(self) -> None: ...

        result = run_inner(Inner)
        self.assertEqual((result.kinds, result.testsRun), (["error"], 0))
        self.assertIn("OSError: planted", result.report)


class TestTimeouts(unittest.TestCase):
    def test_one_that_runs_over_fails_with_the_stacks_and_is_cleaned_up(self) -> None:
        servers: list[Any] = []

        async def body(case: Any) -> None:
            servers.append(await GenServer.start_link())
            case.helper = asyncio.create_task(forever(), name="helper")
            await forever()

        report = failure_of(body, timeout=0.01, leaks="ignore")
        self.assertIn("TestTimeout: the test ran longer than its timeout of 0.01 s; its tasks stood here:", report)
        self.assertRegex(report, r"in body\n +await forever\(\)\n.*in forever\n +await future")
        self.assertIn("helper: 'helper' running 'forever'", report)
        self.assertFalse(servers[0].is_alive())

    def test_the_set_up_counts(self) -> None:
        class Inner(IsolatedTestCase, timeout=0.01):
            async def asyncSetUp(self) -> None:
                await forever()

            async def test(self) -> None: ...

        self.assertIn("ran longer than its timeout of 0.01 s", run_inner(Inner("test")).report)

    def test_one_that_refuses_to_be_cancelled_is_given_up(self) -> None:
        async def body(case: Any) -> None:
            while True:
                try:
                    await forever()
                except asyncio.CancelledError:
                    continue

        with (
            mock.patch("supertester.isolation.loops._GRACE", 0.01),
            mock.patch("supertester.isolation.scope._DYING", 0.01),
        ):
            report = failure_of(body, timeout=0.01)
        self.assertIn("It was cancelled and did not end within another 0.01 s", report)

    def test_one_that_ends_in_its_own_way_failed_all_the_same(self) -> None:
        async def returns(case: Any) -> None:
            try:
                await forever()
            except asyncio.CancelledError:
                return

        async def raises(case: Any) -> None:
            try:
                await forever()
            except asyncio.CancelledError:
                raise OSError("own") from None

        for body in (returns, raises):
            with self.subTest(body=body):
                self.assertIn("TestTimeout", failure_of(body, timeout=0.01))

    def test_plain_code_cannot_be_interrupted_but_is_found_out(self) -> None:
        def body(case: Any) -> None:
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                pass

        self.assertIn("it never gave control to the event loop", failure_of(body, timeout=0.01))

    def test_a_hanging_tear_down_is_bounded_by_the_mode(self) -> None:
        class Inner(IsolatedTestCase, timeout=60.0):
            async def test(self) -> None: ...

            async def asyncTearDown(self) -> None:
                await forever()

        class Cleanup(IsolatedTestCase, timeout=60.0, isolation="basic"):
            async def test(self) -> None:
                self.addAsyncCleanup(forever)

        with mock.patch("supertester.case.isolation_timeout", lambda mode: 0.01):
            for case, step, mode in ((Inner, "asyncTearDown", "full_isolation"), (Cleanup, "cleanup forever", "basic")):
                text = f"its {step} took longer than 0.01 s (isolation_timeout of {mode}); its tasks stood here:\n"
                self.assertIn(text, run_inner(case("test")).report)


class TestReports(unittest.TestCase):
    def test_show_the_seed_of_the_run(self) -> None:
        def body(case: Any) -> None:
            case.fail(f"seed {case.isolation.seed}")

        with mock.patch.dict(os.environ, {"SUPERTESTER_SEED": "7341"}):
            first, second = failure_of(body), failure_of(body)
        self.assertIn("SUPERTESTER_SEED=7341 python -m unittest tests.test_case.Inner(body).test", first)
        self.assertEqual(first, second)

    def test_the_seed_of_a_test_depends_on_its_name(self) -> None:
        seeds: list[int] = []

        def one(case: Any) -> None:
            seeds.append(case.isolation.seed)

        def two(case: Any) -> None:
            seeds.append(case.isolation.seed)

        for body in (one, one, two):
            run_inner(inner_case(body))
        self.assertEqual(seeds[0], seeds[1])
        self.assertNotEqual(seeds[0], seeds[2])

    def test_a_bad_seed_is_an_error_of_the_test(self) -> None:
        with mock.patch.dict(os.environ, {"SUPERTESTER_SEED": "lucky"}):
            result = run_inner(inner_case(lambda case: None))
        self.assertEqual(result.kinds, ["start", "error", "stop"])
        self.assertIn("must be an integer of 0 or more, got SUPERTESTER_SEED='lucky'", result.report)

    def test_show_the_last_deaths_and_messages(self) -> None:
        async def body(case: Any) -> None:
            server = await GenServer.start_link(name="victim")
            server.cast("the last straw")
            with case.assertRaises(CallExit):
                await server.call("anything")
            case.fail("planted")

        report = failure_of(body)
        self.assertRegex(report, r"deaths in this test:\n  <Pid \d+ GenServer 'victim' dead: Crash\(UnknownMessage")
        self.assertIn("'the last straw'", report)

    def test_show_no_frames_but_the_users(self) -> None:
        async def body(case: Any) -> None:
            case.assertEqual(1, 2)

        report = failure_of(body)
        self.assertEqual(report.count("  File "), 1, report)

    def test_explain_an_error_once_however_often_it_is_raised(self) -> None:
        error = AssertionError("planted")

        class Inner(IsolatedTestCase):
            async def test(self) -> None:
                self.addCleanup(self.again)
                raise error

            def again(self) -> None:
                raise error

        self.assertEqual(run_inner(Inner("test")).failures[1][1].count("SUPERTESTER_SEED="), 1)

    def test_explain_a_failing_subtest_too(self) -> None:
        async def body(case: Any) -> None:
            with case.subTest(number=1):
                case.fail("planted")

        self.assertEqual(failure_of(body).count("SUPERTESTER_SEED="), 1)


class TestInterruption(unittest.TestCase):
    def test_ctrl_c_cancels_the_test_and_ends_the_run(self) -> None:
        script = """
            import asyncio, os, signal
            from supertester.case import IsolatedTestCase
            from supertester.otp import GenServer

            class Server(GenServer):
                def terminate(self, reason):
                    print("server ends:", reason, flush=True)

            class Interrupted(IsolatedTestCase):
                async def test(self):
                    await Server.start_link()
                    os.kill(os.getpid(), signal.SIGINT)
                    try:
                        await asyncio.get_running_loop().create_future()
                    finally:
                        print("finally", flush=True)
        """
        ended = run_python(script, "-m", "unittest")
        self.assertEqual(ended.stdout.splitlines(), ["finally", "server ends: shutdown"], ended.stderr)
        self.assertIn("KeyboardInterrupt", ended.stderr)
        self.assertNotEqual(ended.returncode, 0)


@tag(layer="system")
class TestPytest(unittest.TestCase):
    SCRIPT = """
        import asyncio, threading
        import pytest
        from supertester.case import IsolatedTestCase
        from supertester.otp import Agent, self_pid

        class CounterTest(IsolatedTestCase):
            log = []

            @classmethod
            async def asyncSetUpClass(cls):
                cls.log.append("class")

            async def asyncSetUp(self):
                self.agent = await self.setup_isolated_genserver(Agent, init_args=(5,))

            async def test_passes(self):
                self.assertEqual(await Agent.get(self.agent), 5)
                self.assertEqual(self.log, ["class"])
                self.assertIs(self_pid(), self.isolation.root)

            async def test_fails(self):
                self.assertEqual(await Agent.get(self.agent), 6)

            async def test_leaks(self):
                asyncio.create_task(asyncio.Event().wait())

            async def test_thread(self):
                thread = threading.Thread(target=lambda: 1 / 0)
                thread.start()
                thread.join()

            async def test_forgets(self):
                asyncio.sleep(0)

            async def test_skips(self):
                self.skipTest("planted")
    """

    def test_runs_these_classes_too(self) -> None:
        ended = run_python(self.SCRIPT, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        self.assertIn("4 failed, 1 passed, 1 skipped", ended.stdout, ended.stdout + ended.stderr)
        for expected in (
            "AssertionError: 5 != 6",
            "SUPERTESTER_SEED=",
            "task 'Event.wait' (created at",
            "ended with ZeroDivisionError('division by zero') (thread started at",
            "coroutine 'sleep' was never awaited (created at",
        ):
            self.assertIn(expected, ended.stdout)

    def setUp(self) -> None:
        if find_spec("pytest") is None:
            self.skipTest("pytest is not installed")


def run_python(script: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run *script* as the test module ``test_inner`` by *command*, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_inner.py").write_text(textwrap.dedent(script), encoding="utf-8")
        return subprocess.run(
            [*PYTHON, *command, "test_inner.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
