"""Plain tests have an event loop, and what lives on it, only if they ask for it."""

import asyncio
import contextvars
import gc
import threading
import time
import unittest
import weakref
from collections.abc import Callable
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.isolation import adopt, uninstall
from supertester.isolation.loops import TestLoop
from supertester.otp import Agent, current_runtime, self_pid
from supertester.testing import RecordingResult, failure_of, inner_case, run_inner
from tests.alone import alone
from tests.planted import forever


def loops_of(body: Callable[[Any], Any], *bases: type, **options: Any) -> list[asyncio.AbstractEventLoop]:
    """Run *body* as an inner test, which has to pass, and return the event loops that were made for it."""
    made: list[asyncio.AbstractEventLoop] = []

    class Counting(*bases, IsolatedTestCase):  # type: ignore[misc]
        @staticmethod
        def loop_factory() -> asyncio.AbstractEventLoop:
            made.append(asyncio.new_event_loop())
            return made[-1]

    result = run_inner(inner_case(body, Counting, **options))
    if result.report:
        raise AssertionError(result.report)
    return made


class TestWithoutALoop(unittest.TestCase):
    def test_one_that_asks_for_nothing(self) -> None:
        contexts: list[Any] = []

        def body(case: Any) -> None:
            contexts.append(case.isolation)
            case.addCleanup(repr, case.isolation)
            case.assertIn("nothing", case.isolation.summary())
            with adopt(case.isolation):
                pass

        self.assertEqual(loops_of(body), [])
        [context] = contexts
        # Nor is one made afterwards.
        self.assertEqual((context.loop, context.runtime, context.root, context.clock, context.registry), (None,) * 5)

    def test_plain_fixtures_and_class_fixtures_ask_for_nothing(self) -> None:
        class Fixtures(unittest.TestCase):
            def setUp(self) -> None:
                self.value = contextvars.ContextVar("value", default=1)

            def tearDown(self) -> None:
                self.assertEqual(self.value.get(), 1)

        self.assertEqual(loops_of(lambda case: None, Fixtures), [])

    def test_its_timeout_holds(self) -> None:
        def body(case: Any) -> None:
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                pass

        self.assertIn("ran longer than its timeout of 0.01 s", failure_of(body, timeout=0.01))

    def test_a_program_of_its_own_loop_runs_as_outside_of_tests(self) -> None:
        async def program() -> int:
            agent = await Agent.start(5)
            return await Agent.get(agent)

        self.assertEqual(loops_of(lambda case: case.assertEqual(asyncio.run(program()), 5)), [])

    def test_the_context_has_no_other_attributes(self) -> None:
        def body(case: Any) -> None:
            with case.assertRaisesRegex(AttributeError, "'IsolationContext' object has no attribute 'wrold'"):
                _ = case.isolation.wrold

        self.assertEqual(loops_of(body), [])


class TestWithALoop(unittest.TestCase):
    def test_one_is_made_once_for_who_asks(self) -> None:
        async def nothing() -> None: ...

        asking: list[Callable[[Any], Any]] = [
            lambda case: case.isolation.loop.get_debug(),
            lambda case: case.isolation.clock.time(),
            lambda case: case.isolation.registry.items(),
            lambda case: case.isolation.runtime.names,
            lambda case: case.isolation.root.messages,
            lambda case: self_pid().is_alive(),
            lambda case: current_runtime().names,
            lambda case: case._callAsync(nothing),
            lambda case: case._asyncioRunner.get_loop(),
            lambda case: case._asyncioRunner.run(nothing()),
            lambda case: case.isolation.loop.run_until_complete(nothing()),
            lambda case: case.addAsyncCleanup(nothing),
            lambda case: case.isolation.add_cleanup(nothing),
            lambda case: case.cleanup_on_exit(list),
        ]
        for ask in asking:
            with self.subTest(asking.index(ask)):

                def body(case: Any, ask: Callable[[Any], Any] = ask) -> None:
                    ask(case)
                    ask(case)

                [loop] = loops_of(body)
                self.assertTrue(loop.is_closed())

    def test_async_fixtures_of_a_plain_test(self) -> None:
        class Fixtures(IsolatedTestCase):
            async def asyncSetUp(self) -> None:
                self.agent = await self.setup_isolated_genserver(Agent, init_args=(5,))

            async def asyncTearDown(self) -> None:
                self.assertEqual(await Agent.get(self.agent), 5)

        def body(case: Any) -> None:
            case.assertIs(self_pid(), case.isolation.root)
            case.assertTrue(case.agent.is_alive())

        self.assertEqual(run_inner(inner_case(body, Fixtures)).report, "")

    def test_the_body_is_the_root_process_in_whatever_context_it_asks(self) -> None:
        def body(case: Any) -> None:
            inherited = contextvars.copy_context()
            root = inherited.run(self_pid)
            case.assertIs(root, case.isolation.root)
            case.assertIs(self_pid(), root)
            case.assertIs(current_runtime(), case.isolation.runtime)

            async def start() -> Any:
                return current_runtime(), await Agent.start_link(5)

            for context in (contextvars.Context(), contextvars.copy_context(), inherited):
                task = case.isolation.loop.create_task(start(), context=context)
                runtime, agent = case.isolation.loop.run_until_complete(task)
                case.assertIs(runtime, case.isolation.runtime)
                case.isolation.track_process(agent)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_a_thread_of_the_test_can_ask_too(self) -> None:
        def body(case: Any) -> None:
            found: list[Any] = []
            threads = [threading.Thread(target=lambda: found.append(self_pid())) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            case.assertEqual(found, [case.isolation.root] * 3)
            case.assertIs(current_runtime(), case.isolation.runtime)  # It is the world of the test's own thread.
            agent = case._asyncioRunner.run(Agent.start_link(5))
            case.assertEqual(case._asyncioRunner.run(Agent.get(agent)), 5)

        self.assertEqual(len(loops_of(body)), 1)

    def test_outside_of_tests_nobody_has_a_process(self) -> None:
        found: list[str] = []

        def look() -> None:
            for ask in (self_pid, current_runtime):
                try:
                    ask()
                except UsageError as error:
                    found.append(str(error))

        uninstall()
        contextvars.Context().run(look)
        run_inner(inner_case(lambda case: None))
        contextvars.Context().run(look)
        self.assertEqual(found[:2], found[2:])
        self.assertIn("acts for the process whose handler runs, and none runs here", found[0])

    def test_plain_code_has_a_current_event_loop(self) -> None:
        def body(case: Any) -> None:
            loop = asyncio.get_event_loop_policy().get_event_loop()
            case.assertIs(loop, case.isolation.loop)
            case.assertIs(asyncio.get_event_loop_policy().get_event_loop(), loop)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    @alone("sets the policy of event loops")
    def test_so_it_has_where_the_policy_is_not_asyncios(self) -> None:
        class Policy(asyncio.DefaultEventLoopPolicy):
            def get_event_loop(self) -> asyncio.AbstractEventLoop:
                loop = self._local._loop  # type: ignore[attr-defined]
                if loop is None:
                    raise RuntimeError("planted")
                return loop  # type: ignore[no-any-return]

        def body(case: Any) -> None:
            case.assertIs(asyncio.get_event_loop_policy().get_event_loop(), case.isolation.loop)

        self.addCleanup(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
        asyncio.set_event_loop_policy(Policy())
        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_another_thread_has_none(self) -> None:
        def body(case: Any) -> None:
            def ask() -> None:
                with case.assertRaisesRegex(RuntimeError, "no current event loop"):
                    asyncio.get_event_loop_policy().get_event_loop()

            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()

        self.assertEqual(loops_of(body), [])

    def test_what_it_leaves_there_is_found(self) -> None:
        def leave_task(case: Any) -> None:
            case.task = case.isolation.loop.create_task(forever())

        def fail_callback(case: Any) -> None:
            case.isolation.loop.call_soon(lambda: 1 / 0)
            case._asyncioRunner.run(asyncio.sleep(0))

        def leave_server(case: Any) -> None:
            case._asyncioRunner.run(Agent.start(5))

        for body, expected in ((leave_task, "task 'forever'"), (fail_callback, "ZeroDiv"), (leave_server, "Agent")):
            self.assertIn(expected, failure_of(body))

    def test_the_rest_of_its_timeout_holds_there(self) -> None:
        def body(case: Any) -> None:
            case._asyncioRunner.run(forever())

        self.assertIn("its tasks stood here", failure_of(body, timeout=0.01))

    def test_crashes_there_can_fail_it(self) -> None:
        def body(case: Any) -> None:
            case._asyncioRunner.run(Agent.start_link(5)).exit("planted")

        self.assertIn("crashed: 'planted'", failure_of(body, crashes="fail"))

    def test_in_mode_basic_it_is_that_of_the_loop(self) -> None:
        def body(case: Any) -> None:
            case.assertIsNone(case.isolation.registry)
            case.assertIs(current_runtime(), case.isolation.runtime)

        self.assertEqual(run_inner(inner_case(body, isolation="basic")).report, "")

    def test_none_is_made_after_the_end(self) -> None:
        runners: list[TestLoop] = []
        run_inner(inner_case(lambda case: runners.append(case._asyncioRunner)))
        with self.assertRaisesRegex(RuntimeError, "the test has ended, and no event loop is made for it any more"):
            runners[0].get_loop()


class TestSideBySide(unittest.TestCase):
    def test_each_thread_has_the_loop_of_its_test(self) -> None:
        barrier = threading.Barrier(3, timeout=30.0)
        found: list[Any] = []

        def body(case: Any) -> None:
            barrier.wait()
            loop = asyncio.get_event_loop_policy().get_event_loop()
            barrier.wait()
            case.assertIs(loop, case.isolation.loop)
            case.assertIs(self_pid(), case.isolation.root)
            found.append((loop, self_pid(), current_runtime()))
            barrier.wait()

        reports: list[str] = []
        threads = [
            threading.Thread(target=lambda: reports.append(run_inner(inner_case(body)).report)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports, [""] * 3)
        for each in zip(*found, strict=True):
            self.assertEqual(len(set(map(id, each))), 3)


class TestMemory(unittest.TestCase):
    @alone("switches the garbage collector off")
    def test_a_plain_test_is_gone_when_it_has_ended(self) -> None:
        class Inner(IsolatedTestCase):
            def test(self) -> None:
                living.add(self.isolation)

        living: weakref.WeakSet[Any] = weakref.WeakSet()
        gc.disable()
        try:
            result = RecordingResult()
            Inner("test").run(result)
            self.assertEqual(result.kinds, ["start", "success", "stop"])
            self.assertEqual(list(living), [])
        finally:
            gc.enable()
