"""Every kind of leak, planted, found with its message, and ended."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from supertester.case import IsolatedTestCase
from supertester.isolation import IsolationFailure, isolate
from supertester.isolation.leaks import watch
from supertester.targets.tree import living
from supertester.testing import failure_of, inner_case, run_inner

HERE = r"test_planted\.py:\d+"
FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


def nothing() -> None:
    """Be a callback."""


class Planted(unittest.TestCase):
    def setUp(self) -> None:
        self.held: list[Any] = []  # Keeps the leaks of the test from being garbage.
        self.addCleanup(self.held.clear)
        patch = mock.patch.object(watch, "_ENDING", 0.05)
        patch.start()
        self.addCleanup(patch.stop)

    def assert_leak(self, body: Callable[[Any], Any], pattern: str, **options: Any) -> str:
        """Run *body*, which has to fail with exactly one problem, of this message."""
        report = failure_of(body, **options)
        self.assertIn("the test has a problem that no statement of its body raised", report)
        self.assertRegex(report, pattern)
        return report


class TestTimers(Planted):
    def test_a_timer_left_fails_with_the_line_that_made_it(self) -> None:
        async def body(case: Any) -> None:
            asyncio.get_running_loop().call_later(60, nothing)

        report = self.assert_leak(
            body, rf"1\. timer 'nothing' \(created at .*{HERE} in body\) was left scheduled; cancel it\n"
        )
        self.assertRegex(report, rf"     created here \(innermost call last\):\n(.*\n)*.*{HERE} in body\n")

    def test_it_is_cancelled(self) -> None:
        async def body(case: Any) -> None:
            self.held.append(asyncio.get_running_loop().call_later(60, nothing))

        failure_of(body)
        self.assertTrue(self.held[0].cancelled())

    def test_one_that_is_cancelled_or_has_fired_is_none(self) -> None:
        async def body(case: Any) -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(60, nothing).cancel()
            fired = asyncio.Event()
            loop.call_later(0.001, fired.set)
            await fired.wait()
            async with asyncio.timeout(60):
                await asyncio.wait_for(asyncio.create_task(asyncio.sleep(0)), 60)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_a_callback_that_schedules_itself_again_and_again_is_found(self) -> None:
        async def body(case: Any) -> None:
            loop = asyncio.get_running_loop()

            def again() -> None:
                loop.call_soon(again)

            again()

        self.assert_leak(body, r"callback '.*again' schedules itself again and again; let it stop")

    def test_a_callback_of_the_last_moment_may_run(self) -> None:
        async def body(case: Any) -> None:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, self.held.append, 1)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(self.held, [1])

    def test_a_timer_of_uvloop_is_found(self) -> None:
        try:
            import uvloop
        except ImportError:
            self.skipTest("needs uvloop")

        class Case(IsolatedTestCase):
            loop_factory = uvloop.new_event_loop

            async def test(self) -> None:
                asyncio.get_running_loop().call_later(60, nothing)

        self.assertRegex(run_inner(Case("test")).report, "timer 'nothing' was left scheduled")


class TestThreads(Planted):
    def setUp(self) -> None:
        super().setUp()
        self.over = threading.Event()
        self.addCleanup(self.over.set)

    def test_a_thread_left_fails_with_the_line_that_started_it(self) -> None:
        def body(case: Any) -> None:
            threading.Thread(target=self.over.wait, name="pump").start()

        self.assert_leak(
            body,
            rf"1\. thread 'pump' \(started at .*{HERE} in body\) was left running, now at .*threading\.py:\d+ in wait; "
            "let it end and join it\n",
        )

    def test_a_daemon_thread_too(self) -> None:
        async def body(case: Any) -> None:
            threading.Thread(target=self.over.wait, name="pump", daemon=True).start()

        self.assert_leak(body, r"1\. daemon thread 'pump' \(started at")

    def test_a_thread_that_a_thread_left_too(self) -> None:
        def outer() -> None:
            threading.Thread(target=self.over.wait, name="inner").start()

        def body(case: Any) -> None:
            thread = threading.Thread(target=outer)
            thread.start()
            thread.join()

        self.assert_leak(body, rf"1\. thread 'inner' \(started at .*{HERE} in outer\)")

    def test_one_that_a_thread_starts_by_itself_is_of_who_started_that(self) -> None:
        def body(case: Any) -> None:
            inner = threading.Thread(target=self.over.wait, name="inner")
            outer = threading.Thread(target=inner.start)
            outer.start()
            outer.join()

        self.assert_leak(body, rf"1\. thread 'inner' \(started at .*{HERE} in body\)")

    def test_of_threads_that_start_each_other_none_keeps_where_all_before_it_came_from(self) -> None:
        found: list[Any] = []

        def step(left: int) -> None:
            thread: Any = threading.current_thread()
            found.append(thread._supertester[1]._before)
            if left:
                start(left - 1)

        def start(left: int) -> None:
            thread = threading.Thread(target=step, args=(left,))
            thread.start()
            thread.join()

        self.assertEqual(run_inner(inner_case(lambda case: start(9))).report, "")
        self.assertEqual(found, [None] * 10)

    def test_a_timer_left_is_cancelled(self) -> None:
        def body(case: Any) -> None:
            self.held.append(threading.Timer(3600, nothing))
            self.held[0].start()

        self.assert_leak(body, r"1\. thread 'Thread-\d+' \(started at")
        self.held[0].join()

    def test_one_that_is_ending_may_end(self) -> None:
        def body(case: Any) -> None:
            ending = threading.Event()
            thread = threading.Thread(target=ending.wait)
            thread.start()
            ending.set()

        with mock.patch.object(watch, "_ENDING", 30.0):
            self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_one_that_needs_the_loop_to_end_may_end(self) -> None:
        async def body(case: Any) -> None:
            loop = asyncio.get_running_loop()

            async def answer() -> int:
                return 1

            def ask() -> None:
                self.held.append(asyncio.run_coroutine_threadsafe(answer(), loop).result())

            threading.Thread(target=ask).start()

        with mock.patch.object(watch, "_ENDING", 30.0):
            self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(self.held, [1])

    def test_an_executor_left_open_is_one_leak_and_is_shut_down(self) -> None:
        async def body(case: Any) -> None:
            self.held.append(ThreadPoolExecutor(2, thread_name_prefix="worker"))
            met = threading.Barrier(2)
            for job in [self.held[0].submit(met.wait) for _ in range(2)]:
                job.result()

        self.assert_leak(
            body,
            rf"1\. ThreadPoolExecutor with 2 threads \(created at .*{HERE} in body\) was left open; shut it down, "
            "or use it in a with statement\n",
        )
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            self.held[0].submit(nothing)

    def test_an_executor_whose_work_does_not_end_is_told_with_where_that_is(self) -> None:
        def work() -> None:
            self.over.wait()

        async def body(case: Any) -> None:
            self.held.append(ThreadPoolExecutor(1, thread_name_prefix="worker"))
            self.held[0].submit(work)
            self.held[0].shutdown(wait=False)

        with mock.patch.object(watch, "_DYING", 0.05):
            report = failure_of(body)
        what = rf"ThreadPoolExecutor \(created at .*{HERE} in body\) was shut down, but what it does has not ended: "
        where = rf"thread 'worker_0', now at .*{HERE} in work"
        self.assertRegex(report, rf"1\. {what}{where}\n")
        self.assertRegex(report, rf"2\. {what}{where}; it would not end at the end of the test either\n")

    def test_an_executor_from_before_the_test_is_none_of_its(self) -> None:
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)

        def body(case: Any) -> None:
            pool.submit(nothing).result()

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_an_executor_that_is_dropped_may_end(self) -> None:
        def body(case: Any) -> None:
            ThreadPoolExecutor(1).submit(nothing).result()

        with mock.patch.object(watch, "_ENDING", 30.0):
            self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_a_pool_of_processes_left_open_is_one_leak_and_ends(self) -> None:
        def body(case: Any) -> None:
            self.held.append(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
            self.held.append(self.held[0].submit(os.getpid).result())

        self.assert_leak(body, rf"1\. ProcessPoolExecutor \(created at .*{HERE} in body\) was left open")
        _, pid = self.held
        self.assertFalse(psutil.pid_exists(pid))

    def test_a_pool_of_threads_left_open_is_found(self) -> None:
        def body(case: Any) -> None:
            self.held.append(ThreadPool(1))

        self.assert_leak(body, rf"1\. ThreadPool with 1 thread \(created at .*{HERE} in body\) was left open")
        self.held[0].join() if self.held[0]._state == "TERMINATE" else self.held[0].terminate()

    def test_the_list_does_not_grow_with_what_has_ended(self) -> None:
        sizes = []

        def body(case: Any) -> None:
            for _ in range(200):
                thread = threading.Thread(target=nothing)
                thread.start()
                thread.join()
            sizes.append(len(case.isolation.births.threads))

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(sizes, [0])


class TestChildren(Planted):
    def assert_gone(self, pid: int) -> None:
        self.assertFalse(psutil.pid_exists(pid), f"{pid} is still there")

    def test_a_child_left_fails_and_is_killed_and_reaped(self) -> None:
        def body(case: Any) -> None:
            self.held.append(subprocess.Popen(FOREVER))

        self.assert_leak(
            body,
            rf"1\. child process \".*signal\.pause\(\).*\" \(started at .*{HERE} in body\) was left running, "
            r"with pid \d+; "
            "end it and wait for it\n",
        )
        self.assertEqual(self.held[0].returncode, -signal.SIGKILL)
        self.assert_gone(self.held[0].pid)

    def test_so_is_one_that_is_dropped(self) -> None:
        def body(case: Any) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                self.held.append(subprocess.Popen(FOREVER).pid)

        self.assert_leak(body, "1. child process .* was left running")
        self.assert_gone(self.held[0])

    def test_its_pipes_are_no_leaks_of_their_own(self) -> None:
        def body(case: Any) -> None:
            self.held.append(subprocess.Popen(FOREVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE))

        self.assert_leak(body, "1. child process .* was left running")
        self.held[0].stdin.close()
        self.held[0].stdout.close()

    def test_its_descendants_are_killed_too(self) -> None:
        code = f"import subprocess; print(subprocess.Popen({FOREVER!r}).pid, flush=True); import signal; signal.pause()"

        def body(case: Any) -> None:
            child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            self.held.append(child)
            assert child.stdout is not None
            self.held.append(psutil.Process(int(child.stdout.readline())))

        self.assert_leak(body, "1. child process .* was left running")
        child, grandchild = self.held
        child.stdout.close()
        self.assertEqual(living([grandchild]), [])

    def test_a_child_of_asyncio_is_killed_and_reaped(self) -> None:
        async def body(case: Any) -> None:
            self.held.append(await asyncio.create_subprocess_exec(*FOREVER))

        self.assert_leak(body, rf"1\. child process \".*signal\.pause\(\).*\" \(started at .*{HERE} in body\)")
        self.assert_gone(self.held[0].pid)

    def test_one_that_was_started_in_another_thread_is_of_who_asked_for_it(self) -> None:
        async def body(case: Any) -> None:
            child = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-c", "import signal; signal.pause()"])
            self.held.append(child)

        self.assert_leak(body, rf"1\. child process \".*signal\.pause\(\).*\" \(started at .*{HERE} in body\)")
        self.assertEqual(self.held[0].poll(), -signal.SIGKILL)

    def test_a_child_of_multiprocessing_is_killed_and_reaped(self) -> None:
        for method in multiprocessing.get_all_start_methods():

            def body(case: Any, method: str = method) -> None:
                process = multiprocessing.get_context(method).Process(target=signal.pause, name="pauses")
                process.start()
                self.held.append(process)

            with self.subTest(method=method):
                self.held.clear()
                self.assert_leak(body, rf"1\. child process 'pauses' \(started at .*{HERE} in body\)")
                self.assertEqual(self.held[0].exitcode, -signal.SIGKILL)
                self.held[0].close()

    def test_a_pool_of_multiprocessing_ends(self) -> None:
        def body(case: Any) -> None:
            self.held.append(multiprocessing.get_context("spawn").Pool(2))

        self.assert_leak(
            body,
            rf"1\. Pool with 2 child processes \(created at .*{HERE} in body\) was left open; close it and join it, "
            r"or use it in a with statement\n",
        )
        self.held[0].terminate()

    def test_one_that_has_ended_is_reaped_and_no_leak(self) -> None:
        def body(case: Any) -> None:
            child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
            self.held.append(child)
            assert child.stdin is not None
            child.stdin.close()

        with mock.patch.object(watch, "_ENDING", 30.0):
            self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(self.held[0].returncode, 0)


class TestDescriptors(Planted):
    def setUp(self) -> None:
        super().setUp()
        descriptor, self.path = tempfile.mkstemp()
        os.close(descriptor)
        self.addCleanup(os.remove, self.path)

    def tearDown(self) -> None:
        for thing in self.held:
            os.close(thing) if isinstance(thing, int) else thing.close()

    def test_a_file_left_open_fails_with_the_line_that_opened_it(self) -> None:
        def body(case: Any) -> None:
            self.held.append(open(self.path))  # noqa: PTH123, SIM115 - planted

        self.assert_leak(
            body,
            rf"1\. file '{self.path}' \(opened at .*{HERE} in body\) was left open; "
            "close it, or use it in a with statement\n",
        )
        self.assertFalse(self.held[0].closed, "whose it is may need it still")

    def test_one_that_a_function_of_python_opened_in_a_thread_is_of_who_asked_it_to(self) -> None:
        async def in_the_default_executor(case: Any) -> None:
            self.held.append(await asyncio.to_thread(open, self.path))

        def in_an_executor(case: Any) -> None:
            with ThreadPoolExecutor(1) as executor:
                self.held.append(executor.submit(open, self.path).result())

        def for_each(case: Any) -> None:
            with ThreadPoolExecutor(1) as executor:
                self.held += executor.map(open, [self.path])

        for body in (in_the_default_executor, in_an_executor, for_each):
            with self.subTest(body.__name__):
                self.assert_leak(body, rf"1\. file '{self.path}' \(opened at .*{HERE} in {body.__name__}\)")

    def test_the_pipe_of_a_program_that_has_ended_too(self) -> None:
        def body(case: Any) -> None:
            child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
            child.wait()
            self.held.append(child.stdout)

        self.assert_leak(body, rf"1\. pipe pipe:\[\d+\] \(opened at .*{HERE} in body\) was left open")

    def test_a_socket_left_open_too(self) -> None:
        def body(case: Any) -> None:
            self.held.append(socket.create_server(("127.0.0.1", 0)))

        self.assert_leak(body, rf"1\. socket \('127\.0\.0\.1', \d+\) \(opened at .*{HERE} in body\) was left open")

    def test_a_loop_left_open_too(self) -> None:
        def body(case: Any) -> None:
            self.held.append(asyncio.new_event_loop())

        report = failure_of(body)
        self.assertRegex(report, r"the test has 3 problems(.*\n)*.*selector EpollSelector \(opened at .*")
        self.assertEqual(report.count(" was left open; close it, or use it in a with statement"), 3)

    def test_a_server_of_asyncio_left_open_too(self) -> None:
        async def body(case: Any) -> None:
            self.held.append(await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0))

        self.assert_leak(body, rf"1\. socket \('127\.0\.0\.1', \d+\) \(opened at .*{HERE} in body\) was left open")

    def test_a_bare_descriptor_too(self) -> None:
        def body(case: Any) -> None:
            self.held.append(os.open(self.path, os.O_RDONLY))

        self.assert_leak(
            body,
            rf"1\. descriptor \d+, {self.path}, \(opened at .*{HERE} in body\) was left open; "
            r"close it with os\.close\(\)\n",
        )

    def test_the_ends_of_a_pipe_are_two(self) -> None:
        def body(case: Any) -> None:
            self.held.extend(os.pipe())

        report = failure_of(body)
        self.assertRegex(report, r"the test has 2 problems(.*\n)*.*1\. descriptor \d+, pipe:\[\d+\], \(opened at .*")

    def test_a_number_that_was_closed_and_given_to_somebody_else_is_none(self) -> None:
        def body(case: Any) -> None:
            descriptor = os.open(self.path, os.O_RDONLY)
            os.close(descriptor)
            os.dup2(0, descriptor)
            self.held.append(descriptor)

        self.assertNotIn(self.path, run_inner(inner_case(body, leaks={"descriptors": "fail"})).report)

    def test_the_number_of_a_file_belongs_to_the_file(self) -> None:
        def body(case: Any) -> None:
            with os.fdopen(os.open(self.path, os.O_RDONLY)):
                pass
            self.held.append(os.fdopen(os.open(self.path, os.O_RDONLY)))

        self.assert_leak(body, rf"1\. file '{self.path}' \(opened at")


class TestSignals(Planted):
    """Only the main thread can set handlers."""

    def setUp(self) -> None:
        super().setUp()
        if threading.current_thread() is not threading.main_thread():
            self.skipTest("needs the main thread")
        self.before = signal.getsignal(signal.SIGUSR1)
        self.addCleanup(signal.signal, signal.SIGUSR1, self.before)

    def test_a_handler_left_fails_and_is_put_back(self) -> None:
        def body(case: Any) -> None:
            signal.signal(signal.SIGUSR1, lambda *_: None)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

        self.assert_leak(
            body,
            rf"1\. a handler of SIGUSR1 was left in place \(set at .*{HERE} in body\); put back the one that "
            r"signal\.signal\(\) returned\n",
        )
        self.assertEqual(signal.getsignal(signal.SIGUSR1), self.before)

    def test_one_that_is_put_back_is_none(self) -> None:
        def body(case: Any) -> None:
            before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, before)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_one_of_the_loop_ends_with_the_loop_and_the_one_before_is_put_back(self) -> None:
        def handler(*_: Any) -> None: ...

        signal.signal(signal.SIGUSR1, handler)

        async def body(case: Any) -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, nothing)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(signal.getsignal(signal.SIGUSR1), handler)


class TestHandlers(unittest.IsolatedAsyncioTestCase):
    """With `isolate`, the loop goes on after the test."""

    @contextlib.asynccontextmanager
    async def leaking(self, pattern: str) -> Any:
        with self.assertRaisesRegex(IsolationFailure, pattern):
            async with isolate():
                yield asyncio.get_running_loop()

    async def test_a_reader_and_a_writer(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        async with self.leaking(
            rf"1\. reader of descriptor {ours.fileno()}, 'nothing', was left in an event loop that goes on; "
            r"use remove_reader\(\)\n *2\. writer of descriptor"
        ) as loop:
            loop.add_reader(ours, nothing)
            loop.add_writer(ours, nothing)
        self.assertFalse(loop.remove_reader(ours))
        self.assertFalse(loop.remove_writer(ours))

    async def test_a_signal_handler(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.skipTest("needs the main thread")
        before = signal.getsignal(signal.SIGUSR1)
        async with self.leaking(r"1\. handler of SIGUSR1, 'nothing', was left .*use remove_signal_handler\(\)") as loop:
            loop.add_signal_handler(signal.SIGUSR1, nothing)
        self.assertEqual(signal.getsignal(signal.SIGUSR1), before)

    async def test_settings_of_the_loop_that_no_other_test_can_have_changed(self) -> None:
        factory = asyncio.get_running_loop().get_task_factory()
        leaking = isolate()
        await leaking.__aenter__()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, event: None)
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
        alone = leaking._scope.context.alone
        try:
            await leaking.__aexit__(None, None, None)
        except IsolationFailure as failure:
            self.assertTrue(alone)
            self.assertRegex(str(failure), "1. the exception handler of an event loop that goes on was left changed")
            self.assertRegex(str(failure), "2. the task factory of an event loop that goes on was left changed")
            self.assertIsNone(loop.get_exception_handler())
        else:
            self.assertFalse(leaking._scope.context.alone)  # Another one may have begun since it was looked at above.
        loop.set_exception_handler(None)
        loop.set_task_factory(factory)

    async def test_a_timer_of_the_test_only(self) -> None:
        theirs = asyncio.get_running_loop().call_later(60, nothing)
        async with self.leaking(r"has a problem(.*\n)*.*1\. timer 'print' \(created at"):
            asyncio.get_running_loop().call_later(60, print)
        self.assertFalse(theirs.cancelled())
        theirs.cancel()


@contextlib.contextmanager
def all_begun(count: int) -> Iterator[threading.Barrier]:
    barrier = threading.Barrier(count)
    try:
        yield barrier
    finally:
        barrier.abort()


class TestBesideOthers(Planted):
    """Two tests at once in threads of one process: only the one that leaks fails."""

    def assert_only_the_culprit_fails(self, leak: Callable[[Any], Any], pattern: str) -> None:
        reports: dict[str, str] = {}
        begun, done = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)

        async def culprit(case: Any) -> None:
            begun.wait()
            result = leak(case)
            if asyncio.iscoroutine(result):
                await result
            done.wait()

        async def neighbour(case: Any) -> None:
            begun.wait()
            done.wait()

        def run(body: Callable[[Any], Any]) -> None:
            reports[body.__name__] = run_inner(inner_case(body)).report

        threads = [threading.Thread(target=run, args=(body,)) for body in (culprit, neighbour)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports["neighbour"], "")
        self.assertRegex(reports["culprit"], pattern)

    def test_timers(self) -> None:
        def leak(case: Any) -> None:
            asyncio.get_running_loop().call_later(60, nothing)

        self.assert_only_the_culprit_fails(leak, "timer 'nothing'")

    def test_threads(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)

        def leak(case: Any) -> None:
            threading.Thread(target=over.wait, name="pump").start()

        self.assert_only_the_culprit_fails(leak, "thread 'pump'")

    def test_executors(self) -> None:
        def leak(case: Any) -> None:
            self.held.append(ThreadPoolExecutor(1))
            self.held[0].submit(nothing).result()

        self.assert_only_the_culprit_fails(leak, "ThreadPoolExecutor .* was left open")

    def test_children(self) -> None:
        def leak(case: Any) -> None:
            self.held.append(subprocess.Popen(FOREVER))

        self.assert_only_the_culprit_fails(leak, "child process")

    def test_children_of_asyncio(self) -> None:
        async def leak(case: Any) -> None:
            self.held.append(await asyncio.create_subprocess_exec(*FOREVER))

        self.assert_only_the_culprit_fails(leak, "child process")

    def test_descriptors(self) -> None:
        def leak(case: Any) -> None:
            self.held.append(socket.socket())
            self.held.append(Path(os.devnull).open())  # noqa: SIM115 - planted
            self.held.append(os.dup(0))

        self.assert_only_the_culprit_fails(leak, r"3 problems(.*\n)*.*1\. (socket|file|descriptor)")
        for thing in self.held:
            os.close(thing) if isinstance(thing, int) else thing.close()
