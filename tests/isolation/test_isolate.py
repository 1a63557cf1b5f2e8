import asyncio
import linecache
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from supertester.env import set_env
from supertester.errors import UsageError
from supertester.isolation import (
    IsolationFailure,
    fetch_isolation_context,
    isolate,
    put_isolation_context,
    verify_test_isolation,
)
from supertester.otp import GenServer, current_runtime, self_pid, whereis
from supertester.processes import cleanup_on_exit, setup_isolated_genserver
from tests.planted import forever


class Harness:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[], Any]] = []

    def on_exit(self, callback: Callable[[], Any]) -> object:
        self.callbacks.append(callback)
        return None


class TestIsolate(unittest.IsolatedAsyncioTestCase):
    async def test_yields_the_context_and_makes_it_current(self) -> None:
        self.assertIsNone(fetch_isolation_context())
        async with isolate("registry", tags={"test": "it", "layer": "unit"}) as context:
            self.assertIs(fetch_isolation_context(), context)
            where = {name: context.tags.pop(name) for name in ("module", "file", "line")}
            self.assertEqual(context.tags, {"test": "it", "layer": "unit", "mode": "registry"})
            self.assertEqual((where["module"], where["file"]), (__name__, __file__))
            self.assertIn('async with isolate("registry", tags=', linecache.getline(__file__, where["line"]))
            self.assertRegex(context.test_id, r"^it-\d+$")
            self.assertIs(self_pid(), context.root)
        self.assertIsNone(fetch_isolation_context())

    async def test_the_default_mode_is_full_isolation(self) -> None:
        async with isolate() as context:
            self.assertEqual(context.mode, "full_isolation")

    async def test_an_unknown_mode_is_refused_at_once(self) -> None:
        with self.assertRaisesRegex(UsageError, "unknown isolation mode 'total'"):
            isolate("total")

    async def test_registry_has_names_of_its_own(self) -> None:
        async with isolate("registry") as outer:
            await GenServer.start_link(name="server")
            async with isolate("registry") as inner:
                self.assertIsNone(whereis("server"))
                self.assertEqual(inner.registry, {})
            self.assertEqual(list(outer.registry or ()), ["server"])

    async def test_basic_shares_the_names_of_the_loop(self) -> None:
        outside = await GenServer.start(name="outside")
        async with isolate("basic") as context:
            self.assertIsNone(context.registry)
            self.assertIs(whereis("outside"), outside)
            inside = await GenServer.start_link(name="inside")
        self.assertFalse(inside.is_alive())
        self.assertTrue(outside.is_alive())
        await outside.stop()
        self.assertEqual(list(current_runtime().processes), [])

    async def test_what_it_leaves_behind_is_an_error(self) -> None:
        with self.assertRaisesRegex(IsolationFailure, r"task 'forever' \(created at .*test_isolate\.py") as caught:
            async with isolate("basic"):
                asyncio.create_task(forever())
        self.assertEqual([problem.kind for problem in caught.exception.problems], ["tasks"])

    async def test_an_error_of_the_body_comes_first(self) -> None:
        with self.assertRaisesRegex(OSError, "body") as caught:
            async with isolate("basic"):
                asyncio.create_task(forever())
                raise OSError("body")
        self.assertIn("task 'forever'", caught.exception.__notes__[0])

    async def test_a_failing_cleanup_and_a_leak_become_one_group(self) -> None:
        with self.assertRaises(ExceptionGroup) as caught:
            async with isolate("basic") as context:
                context.add_cleanup(lambda: 1 / 0)
                asyncio.create_task(forever())
        self.assertEqual([type(error) for error in caught.exception.exceptions], [ZeroDivisionError, IsolationFailure])

    async def test_two_on_one_loop_see_only_their_own(self) -> None:
        async def tidy(go: asyncio.Event, done: asyncio.Event) -> None:
            async with isolate("registry"):
                go.set()
                await done.wait()

        async def untidy(go: asyncio.Event, done: asyncio.Event) -> None:
            try:
                async with isolate("registry"):
                    await go.wait()
                    asyncio.create_task(forever())
                    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
                    await asyncio.sleep(0)
            finally:
                done.set()

        go, done = asyncio.Event(), asyncio.Event()
        tidied, failure = await asyncio.gather(tidy(go, done), untidy(go, done), return_exceptions=True)
        self.assertIsNone(tidied)
        self.assertEqual([problem.kind for problem in failure.problems], ["callback", "tasks"])

    async def test_leaves_the_handlers_of_the_loop_as_they_were(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        first, second = isolate("basic"), isolate("basic")
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        await second.__aexit__(None, None, None)
        self.assertIs(loop.get_exception_handler(), before)

    async def test_errors_from_elsewhere_on_the_loop_go_to_the_handler_before(self) -> None:
        seen: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, event: seen.append(event["exception"]))
        loop.call_soon(lambda: 1 / 0)
        async with isolate("basic"):
            await asyncio.sleep(0)
        self.assertEqual(len(seen), 1)

    async def test_or_are_logged_where_there_is_none(self) -> None:
        loop = asyncio.get_running_loop()
        with self.assertLogs("asyncio", "ERROR") as logs:
            async with isolate("basic"):
                loop.call_exception_handler({"message": "planted"})
        self.assertIn("planted", logs.output[0])

    async def test_crashes_of_others_are_not_the_tests(self) -> None:
        async with isolate("basic") as context:
            put_isolation_context(None)
            token = context.runtime.activate()  # type: ignore[union-attr]
            stranger = await GenServer.start()
            context.runtime.deactivate(token)  # type: ignore[union-attr]
        self.assertTrue(stranger.is_alive())
        await stranger.stop()

    async def test_a_process_can_be_waited_for_a_while_after_its_start(self) -> None:
        async with isolate("registry") as context:
            server = await setup_isolated_genserver(GenServer)
            await asyncio.sleep(0)
            self.assertTrue(server.is_alive())
            self.assertTrue(verify_test_isolation(context))


class TestEnvironments(unittest.IsolatedAsyncioTestCase):
    async def test_one_that_is_given_gets_the_cleanup_to_run(self) -> None:
        harness = Harness()
        async with isolate("registry", env=harness) as context:
            server = await GenServer.start_link()
        self.assertIsNone(fetch_isolation_context())
        self.assertTrue(server.is_alive())
        [cleanup] = harness.callbacks
        await cleanup()
        self.assertFalse(server.is_alive())
        self.assertTrue(context.closed)
        await cleanup()

    async def test_one_that_was_set_gets_it_too(self) -> None:
        harness = Harness()
        with set_env(harness):
            async with isolate("basic"):
                asyncio.create_task(forever())
        with self.assertRaisesRegex(IsolationFailure, "forever"):
            await harness.callbacks[0]()

    async def test_it_gets_single_cleanups_as_well(self) -> None:
        harness = Harness()
        async with isolate("basic", env=harness):
            cleanup_on_exit(print)
        self.assertIs(harness.callbacks.pop(0), print)
        await harness.callbacks[0]()

    async def test_one_that_is_none_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "got env=3"):
            isolate("basic", env=3)  # type: ignore[arg-type]


class TestFailingToOpen(unittest.IsolatedAsyncioTestCase):
    async def test_it_raises_what_failed_and_leaves_nothing_of_itself(self) -> None:
        with (
            mock.patch("supertester.isolation.world.enter_world", side_effect=RuntimeError("no world")),
            self.assertRaisesRegex(RuntimeError, "no world"),
        ):
            async with isolate("registry"):
                self.fail("it opened")
        self.assertIsNone(fetch_isolation_context())
        async with isolate("registry") as context:
            self.assertIs(fetch_isolation_context(), context)


class TestContextFunctions(unittest.IsolatedAsyncioTestCase):
    async def test_put_makes_a_context_current_and_returns_it(self) -> None:
        async with isolate("basic") as context:
            self.assertIsNone(put_isolation_context(None))
            self.assertIsNone(fetch_isolation_context())
            self.assertIs(put_isolation_context(context), context)
            self.assertIs(fetch_isolation_context(), context)

    async def test_put_refuses_what_is_no_context(self) -> None:
        with self.assertRaisesRegex(TypeError, "takes an IsolationContext or None, got 3"):
            put_isolation_context(3)  # type: ignore[arg-type]

    async def test_verify_is_content_without_a_context(self) -> None:
        self.assertTrue(verify_test_isolation(None))

    async def test_verify_notices_a_dead_process(self) -> None:
        async with isolate("basic") as context:
            server = await setup_isolated_genserver(GenServer)
            self.assertTrue(verify_test_isolation(context))
            await server.stop()
            self.assertFalse(verify_test_isolation(context))
