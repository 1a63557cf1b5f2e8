"""Common idioms, none of which is a leak."""

import asyncio
import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any
from unittest import mock

from supertester._core.waiting import wait_until
from supertester.case import IsolatedTestCase
from supertester.isolation.leaks import threads, watch
from supertester.testing import inner_case, run_inner

METHODS = multiprocessing.get_all_start_methods()


def double(number: int) -> int:
    return 2 * number


def put(queue: Any) -> None:
    queue.put(1)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


class TestThreads(IsolatedTestCase):
    async def test_the_default_executor(self) -> None:
        loop = asyncio.get_running_loop()
        self.assertEqual(await loop.run_in_executor(None, double, 1), 2)
        self.assertEqual(await asyncio.to_thread(double, 2), 4)
        self.assertTrue(await loop.getaddrinfo("localhost", 80))

    async def test_an_executor(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            self.assertEqual(await asyncio.get_running_loop().run_in_executor(pool, double, 1), 2)
            self.assertEqual(list(pool.map(double, [1, 2])), [2, 4])

    def test_a_pool(self) -> None:
        with ThreadPool(2) as pool:
            self.assertEqual(pool.map(double, [1, 2]), [2, 4])

    def test_a_thread_that_a_cleanup_ends(self) -> None:
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        thread.start()


class TestThreadsThatEndLater(unittest.TestCase):
    """They end once the watch has looked for the first time, and has found them running."""

    def setUp(self) -> None:
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        self.waited_for: list[str] = []
        self.enterContext(mock.patch.multiple(watch, wait_until=self.wait_until, _ENDING=60.0))

    async def wait_until(self, condition: Callable[[], object], what: str, **options: Any) -> None:
        def is_over() -> object:
            if not (found := condition()):
                self.waited_for.append(what)
                self.over.set()
            return found

        await wait_until(is_over, what, **options)

    def test_an_executor_that_nobody_waits_for(self) -> None:
        def body(case: Any) -> None:
            case.pool = ThreadPoolExecutor(1)
            case.pool.submit(self.over.wait)
            case.pool.shutdown(wait=False)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertTrue(self.over.is_set(), "nobody has looked")

    def test_an_executor_that_only_its_work_holds(self) -> None:
        """As it is with the servers of grpc, which never shut theirs down."""
        over = self.over

        class Server:
            def __init__(self) -> None:
                self.pool = ThreadPoolExecutor(1)
                self.is_at_work = threading.Event()

            def work(self) -> None:
                self.is_at_work.set()
                over.wait()

        def body(case: Any) -> None:
            server = Server()
            server.pool.submit(server.work)
            server.is_at_work.wait()

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertTrue(self.over.is_set(), "nobody has looked")

    def test_an_executor_that_is_let_go_as_it_is_looked_at(self) -> None:
        """What looks is the last that holds it, and its thread ends once the look is over."""
        held: list[ThreadPoolExecutor] = []
        is_part_of = threads.is_part_of

        def let_go(loop: Any, thing: Any) -> bool:
            looked_at.append(thing is None)
            if len(looked_at) == 2:  # The first look was whether there is anything to wait for.
                held.clear()
            return is_part_of(loop, thing)

        async def body(case: Any) -> None:
            held.append(ThreadPoolExecutor(1))
            self.assertEqual(held[0].submit(double, 1).result(), 2)
            [worker] = held[0]._threads
            await wait_until(lambda: not threads._is_at_work(worker), "its rest", timeout=60)

        looked_at: list[bool] = []
        with mock.patch.object(threads, "is_part_of", let_go):
            self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(held, [])

    def test_an_executor_that_is_at_rest_is_not_waited_for(self) -> None:
        async def body(case: Any) -> None:
            case.pool = ThreadPoolExecutor(1)
            self.assertEqual(case.pool.submit(double, 1).result(), 2)
            [worker] = case.pool._threads
            await wait_until(lambda: not threads._is_at_work(worker), "its rest", timeout=60)

        report = run_inner(inner_case(body)).report
        self.assertRegex(report, "raised:\n  1. ThreadPoolExecutor .* was left open; shut it down")
        self.assertNotIn("the end of what is ending", self.waited_for)

    def test_a_timer(self) -> None:
        over = self.over

        class Timer(threading.Timer):
            def run(self) -> None:
                super().run()
                over.wait()

        def body(case: Any) -> None:
            case.timer = Timer(3600, double)
            case.timer.start()
            case.timer.cancel()

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertTrue(self.over.is_set(), "nobody has looked")


class TestChildren(IsolatedTestCase):
    def test_run(self) -> None:
        subprocess.run([sys.executable, "-c", ""], check=True, capture_output=True, input=b"")

    def test_popen(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
            self.assertEqual(child.communicate(), (b"", None))

    async def test_asyncio(self) -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "", stdin=pipe, stdout=pipe, stderr=pipe)
        self.assertEqual(await child.communicate(), (b"", b""))
        self.child = await asyncio.create_subprocess_shell("exit 3")
        self.assertEqual(await self.child.wait(), 3)

    async def test_one_that_is_terminated_and_not_waited_for(self) -> None:
        self.child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import signal; signal.pause()")
        self.child.terminate()

    async def test_popen_that_has_ended_and_was_not_waited_for(self) -> None:
        self.child = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220
        await asyncio.to_thread(os.waitid, os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)

    def test_processes_and_queues(self) -> None:
        for method in METHODS:
            with self.subTest(method=method):
                context = multiprocessing.get_context(method)
                self.queue: Any = context.Queue()
                self.process: Any = context.Process(target=put, args=(self.queue,))
                self.process.start()
                self.assertEqual(self.queue.get(), 1)
                self.process.join()
                self.queue.put(2)
                self.queue.close()
                self.queue.join_thread()

    def test_a_queue_that_is_dropped(self) -> None:
        queue: Any = multiprocessing.get_context("spawn").Queue()
        queue.put(1)
        self.assertEqual(queue.get(), 1)

    def test_shared_memory_that_python_keeps_for_all(self) -> None:
        multiprocessing.Barrier(1)
        multiprocessing.Array("d", 100_000)  # More than the arenas hold that there are.
        self.assertEqual(multiprocessing.Value("i", 3).value, 3)

    def test_pools(self) -> None:
        for method in METHODS:
            with self.subTest(method=method), multiprocessing.get_context(method).Pool(1) as self.pool:
                self.assertEqual(self.pool.map(double, [1, 2]), [2, 4])

    def test_executors(self) -> None:
        for method in METHODS:
            context: Any = multiprocessing.get_context(method)
            with self.subTest(method=method), ProcessPoolExecutor(1, mp_context=context) as self.pool:
                self.assertEqual(list(self.pool.map(double, [1, 2])), [2, 4])

    def test_managers(self) -> None:
        for method in METHODS:
            with self.subTest(method=method), multiprocessing.get_context(method).Manager() as manager:
                shared = manager.dict(one=1)
                self.assertEqual(shared["one"], 1)
                del shared

    def test_pipes(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        with ours, theirs:
            ours.send(1)
            self.assertEqual(theirs.recv(), 1)


class TestDescriptors(IsolatedTestCase):
    async def test_streams(self) -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            self.assertEqual(await reader.readline(), b"hello\n")
            writer.close()
            await writer.wait_closed()

    async def test_a_connection_that_is_closing(self) -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            self.assertEqual(await reader.readline(), b"hello\n")
            writer.close()

    def test_sockets(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, contextlib.closing(theirs), ours.makefile("wb") as file:
            file.write(b"x")
            file.flush()
            self.assertEqual(theirs.recv(1), b"x")

    def test_temporary_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "file")
            path.write_text("text")
            self.assertEqual(path.read_bytes(), b"text")
        with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryFile() as other:
            file.write(b"x")
            other.write(b"y")
        with tempfile.SpooledTemporaryFile(max_size=1) as spooled:
            spooled.write(b"more than that")
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        Path(name).unlink()

    def test_a_database(self) -> None:
        self.database = sqlite3.connect(self.tmp_path / "database")
        self.database.execute("create table t (a)")
        self.database.close()

    def test_two_objects_over_one_descriptor(self) -> None:
        with tempfile.TemporaryFile() as file, open(file.fileno(), "rb", closefd=False) as other:
            self.assertEqual(other.read(), b"")

    def test_a_file_that_is_given_to_a_cleanup(self) -> None:
        file = Path(os.devnull).open()  # noqa: SIM115 - closed in cleanup
        self.addCleanup(file.close)

    def test_a_detached_socket(self) -> None:
        self.socket = socket.socket()
        os.close(self.socket.detach())


class TestLoops(IsolatedTestCase):
    async def test_groups_and_timeouts(self) -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.001)

    def test_a_loop_of_its_own(self) -> None:
        asyncio.run(asyncio.sleep(0))


class TestOthers(unittest.TestCase):
    maxDiff = None

    def assert_clean(self, test: unittest.TestCase) -> None:
        self.assertEqual(run_inner(test).report, "")

    def test_logging_to_a_file_for_the_whole_program(self) -> None:
        logger = logging.getLogger("tests.isolation.leaks")
        with tempfile.TemporaryDirectory() as folder:

            def body(case: Any) -> None:
                logger.addHandler(logging.FileHandler(Path(folder, "log")))

            self.assert_clean(inner_case(body))
            [handler] = logger.handlers
            logger.removeHandler(handler)
            handler.close()

    def test_a_signal_handler_that_is_put_back(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.skipTest("needs the main thread")

        def body(case: Any) -> None:
            case.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, signal.SIG_IGN))

        self.assert_clean(inner_case(body))

    def test_hypothesis(self) -> None:
        from hypothesis import given, settings, strategies

        def body(case: Any) -> None:
            @settings(max_examples=5, database=None)
            @given(strategies.integers())
            def check(number: int) -> None:
                case.assertEqual(double(number), number + number)

            check()

        self.assert_clean(inner_case(body))

    def test_uvloop(self) -> None:
        try:
            import uvloop
        except ImportError:
            self.skipTest("needs uvloop")

        class Case(IsolatedTestCase):
            loop_factory = uvloop.new_event_loop

            async def test(self) -> None:
                server = await asyncio.start_server(echo, "127.0.0.1", 0)
                async with server:
                    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                    writer.write(b"hello\n")
                    self.assertEqual(await reader.readline(), b"hello\n")
                    writer.close()
                    await writer.wait_closed()
                self.assertEqual(await asyncio.to_thread(double, 1), 2)
                async with asyncio.timeout(60):
                    await asyncio.sleep(0)

        self.assert_clean(Case("test"))

    def test_all_of_them_beside_each_other(self) -> None:
        cases = [TestThreads, TestDescriptors, TestLoops]
        reports: list[str] = []
        threads = [
            threading.Thread(target=lambda case=case: reports.append(run_inner(case).report)) for case in 2 * cases
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports, [""] * len(threads))

    def test_what_a_neighbour_opens_and_closes(self) -> None:
        begun, opened, done = (threading.Barrier(2, timeout=60) for _ in range(3))

        def opens(case: Any) -> None:
            begun.wait()
            with Path(os.devnull).open(), socket.socket():
                opened.wait()
                done.wait()

        def idles(case: Any) -> None:
            begun.wait()
            opened.wait()

        reports = []

        def run(body: Any) -> None:
            reports.append(run_inner(inner_case(body)).report)
            if body is idles:
                done.wait()

        neighbours = [threading.Thread(target=functools.partial(run, body)) for body in (opens, idles)]
        for thread in neighbours:
            thread.start()
        for thread in neighbours:
            thread.join()
        self.assertEqual(reports, ["", ""])
