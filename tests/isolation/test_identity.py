import asyncio
import os
import subprocess
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from supertester.context import IsolationContext, current_context
from supertester.errors import UsageError
from supertester.isolation import adopt, fetch_isolation_context, isolate, parent_test_id, uninstall
from supertester.isolation.children import TEST_ID
from supertester.isolation.identity import owner
from supertester.otp import GenServer, self_pid
from supertester.testing import inner_case, run_inner
from tests.joining import join_and_close


class Tells(GenServer):
    def handle_call(self, request: Any, sender: Any) -> Any:
        return owner()


class TestIdentity(unittest.IsolatedAsyncioTestCase):
    """Each test asks, in one kind of work that an isolated test starts, whose work that is."""

    async def asyncSetUp(self) -> None:
        self.isolated = isolate("full_isolation", tags={"test": "identity"})
        self.context = await self.isolated.__aenter__()
        self.addAsyncCleanup(self.isolated.__aexit__, None, None, None)

    async def test_is_inherited_by_tasks(self) -> None:
        async def ask() -> Any:
            return owner()

        self.assertIs(await asyncio.create_task(ask()), self.context)

    async def test_is_inherited_by_callbacks(self) -> None:
        loop = asyncio.get_running_loop()
        for schedule in (loop.call_soon, loop.call_soon_threadsafe, lambda call: loop.call_later(0, call)):
            answer = loop.create_future()
            schedule(lambda answer=answer: answer.set_result(owner()))
            self.assertIs(await answer, self.context)

    async def test_is_inherited_by_servers(self) -> None:
        server = await Tells.start_link()
        self.assertIs(await server.call("who"), self.context)

    def test_is_inherited_by_threads_and_by_theirs(self) -> None:
        seen: list[Any] = []

        def work() -> None:
            seen.append((current_context.get(), self_pid()))
            if len(seen) < 2:
                run(threading.Thread(target=work))

        run(threading.Thread(target=work))
        self.assertEqual(seen, [(self.context, self.context.root)] * 2)

    def test_is_inherited_by_timers(self) -> None:
        seen: list[Any] = []
        run(threading.Timer(0, lambda: seen.append(owner())))
        self.assertEqual(seen, [self.context])

    def test_is_inherited_by_threads_that_override_run(self) -> None:
        class Own(threading.Thread):
            def run(self) -> None:
                self.seen = owner()

        thread = Own()
        run(thread)
        self.assertIs(thread.seen, self.context)
        self.assertNotIn("run", vars(thread))

    def test_is_inherited_by_threads_with_a_run_of_their_own(self) -> None:
        thread: Any = threading.Thread()
        thread.run = own = lambda: setattr(thread, "seen", owner())
        run(thread)
        self.assertIs(thread.seen, self.context)
        self.assertIs(thread.run, own)

    def test_a_thread_that_cannot_start_stays_as_it_was(self) -> None:
        thread = threading.Thread(target=lambda: None)
        run(thread)
        with self.assertRaisesRegex(RuntimeError, "threads can only be started once"):
            thread.start()
        self.assertNotIn("run", vars(thread))

    async def test_is_inherited_by_jobs(self) -> None:
        loop = asyncio.get_running_loop()
        self.assertIs(await asyncio.to_thread(owner), self.context)
        self.assertIs(await loop.run_in_executor(None, owner), self.context)
        with ThreadPoolExecutor(1) as pool:
            self.assertIs(await loop.run_in_executor(pool, owner), self.context)
            self.assertEqual(list(pool.map(lambda _: owner(), range(2))), [self.context] * 2)
        await loop.shutdown_default_executor()

    async def test_no_other_variable_is_inherited_by_threads(self) -> None:
        from contextvars import ContextVar

        theirs: ContextVar[str] = ContextVar("theirs", default="unset")
        theirs.set("set")
        with ThreadPoolExecutor(1) as pool:
            self.assertEqual(pool.submit(theirs.get).result(), "unset")

    def test_is_inherited_by_child_processes(self) -> None:
        ask = [sys.executable, "-c", f"import os; print(os.environ.get({TEST_ID!r}))"]
        self.assertEqual(output_of(ask), self.context.test_id)
        self.assertEqual(output_of(ask, env={"PATH": os.environ["PATH"]}), self.context.test_id)
        self.assertEqual(output_of(ask, env={TEST_ID: "mine"}), "mine")

    async def test_is_inherited_by_child_processes_of_asyncio(self) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"import os; print(os.environ.get({TEST_ID!r}))", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        self.assertEqual(out.decode().strip(), self.context.test_id)

    def test_is_inherited_by_processes_of_multiprocessing(self) -> None:
        import multiprocessing

        for method in multiprocessing.get_all_start_methods():
            if method == "fork" and sys.version_info >= (3, 12):
                continue  # It warns where there are threads.
            with self.subTest(method):
                context: Any = multiprocessing.get_context(method)
                receiver, sender = context.Pipe(duplex=False)
                child = context.Process(target=tell_test, args=(sender,))
                child.start()
                sender.close()  # Where only the child can send, its death ends the wait.
                self.assertEqual(receiver.recv(), self.context.test_id)
                join_and_close(child)
                receiver.close()

    async def test_the_current_span_goes_with_it(self) -> None:
        from opentelemetry import trace

        span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1)))
        with trace.use_span(span):
            shown = output_of([sys.executable, "-c", "import os; print(os.environ['TRACEPARENT'])"])
        self.assertEqual(shown, f"00-{0xABC:032x}-{0xDEF:016x}-01")


class TestIdentityAcrossTests(unittest.TestCase):
    def test_a_thread_of_a_pool_works_for_whoever_submits(self) -> None:
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        seen: list[IsolationContext | None] = []

        async def body(case: Any) -> None:
            seen.append(pool.submit(owner).result())

        tests = [inner_case(body), inner_case(body)]
        reports = [run_inner(test).report for test in tests]
        # The first left a thread behind, that of the pool.
        self.assertNotIn("Error", reports[1])
        self.assertEqual([each.test_id for each in seen if each], [test.isolation.test_id for test in tests])
        self.assertIsNone(pool.submit(owner).result())


class TestAdopting(unittest.IsolatedAsyncioTestCase):
    async def test_a_thread_that_was_there_before(self) -> None:
        seen: list[Any] = []
        go = threading.Event()
        done = threading.Event()

        def foreign() -> None:
            go.wait(10)
            seen.append(owner())
            for test in (context, context.test_id):
                with adopt(test):
                    seen.append((owner(), self_pid()))
            seen.append(owner())
            done.set()

        thread = threading.Thread(target=foreign)
        thread.start()
        async with isolate("full_isolation") as context:
            go.set()
            self.assertTrue(done.wait(10))
        thread.join()
        self.assertEqual(seen, [None, (context, context.root), (context, context.root), None])

    async def test_refuses_what_is_no_running_test(self) -> None:
        async with isolate("basic") as context:
            pass
        for wrong, error, message in (
            (context, UsageError, "has ended"),
            (context.test_id, UsageError, "no test with the id"),
            (3, TypeError, "takes an IsolationContext or its test_id, got 3"),
        ):
            with self.subTest(wrong), self.assertRaisesRegex(error, message), adopt(wrong):  # type: ignore[arg-type]
                pass


class TestOutside(unittest.TestCase):
    def test_of_tests_nobody_is_the_owner(self) -> None:
        self.assertIsNone(fetch_isolation_context())
        self.assertIsNone(owner())
        self.assertEqual(parent_test_id(), os.environ.get(TEST_ID))

    def test_everything_is_taken_out_by_uninstall(self) -> None:
        import multiprocessing.process

        def present() -> list[Any]:
            return [
                threading.Thread.start,
                ThreadPoolExecutor.submit,
                subprocess.Popen.__init__,
                multiprocessing.process.BaseProcess.start,
            ]

        uninstall()
        before = present()
        run_inner(inner_case(lambda case: None))
        self.assertFalse(set(present()) & set(before))
        uninstall()
        self.assertEqual(present(), before)


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def output_of(command: list[str], **options: Any) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout.strip()


def tell_test(connection: Any) -> None:
    connection.send(parent_test_id())
    connection.close()
