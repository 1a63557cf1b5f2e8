"""What a test must not leave behind, each planted once and found with the line that made it."""

import asyncio
import gc
import marshal
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.context import IsolationContext
from supertester.isolation import hooks
from supertester.isolation.coroutines import _IMMORTAL, Watch, _coroutines
from supertester.otp import GenServer, Supervisor
from supertester.testing import failure_of, inner_case, run_inner
from tests.alone import alone
from tests.planted import forever
from tests.project.support import ROOT

held: list[Any] = []


async def fail() -> None:
    raise ValueError("planted")


class TestTasks(unittest.TestCase):
    def test_one_left_running_fails_the_test_with_the_line_that_made_it(self) -> None:
        async def body(case: Any) -> None:
            asyncio.create_task(forever(), name="pump")

        self.assertRegex(
            failure_of(body),
            r"task 'pump' running 'forever' \(created at .*test_leaks\.py:\d+ in body.* was left running",
        )

    def test_one_that_is_being_cancelled_may_end(self) -> None:
        async def body(case: Any) -> None:
            task = asyncio.create_task(forever())
            await asyncio.sleep(0)
            task.cancel()

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_one_that_will_not_end_is_named(self) -> None:
        async def stubborn() -> None:
            while True:
                try:
                    await forever()
                except asyncio.CancelledError:
                    held.append(1)

        async def body(case: Any) -> None:
            asyncio.create_task(stubborn())
            await asyncio.sleep(0)

        with mock.patch("supertester.isolation.scope._DYING", 0.01):
            report = failure_of(body)
        self.assertRegex(report, r"stubborn' \(created at .* would not end when cancelled")

    def test_they_can_be_tolerated(self) -> None:
        async def body(case: Any) -> None:
            asyncio.create_task(forever())

        for leaks in ("ignore", {"tasks": "ignore"}):
            with self.subTest(leaks=leaks):
                self.assertEqual(run_inner(inner_case(body, leaks=leaks)).report, "")
        with self.assertWarnsRegex(ResourceWarning, "forever' .* was left running"):
            self.assertEqual(run_inner(inner_case(body, leaks="warn")).report, "")

    def test_an_exception_that_nobody_retrieves_fails_the_test(self) -> None:
        async def body(case: Any) -> None:
            asyncio.create_task(fail())
            await asyncio.sleep(0)

        report = failure_of(body)
        self.assertRegex(report, r"background task 'fail' \(created at .*test_leaks\.py:\d+ in body.* nobody retrieved")
        self.assertIn('raise ValueError("planted")', report)

    def test_also_if_the_task_is_still_held(self) -> None:
        async def body(case: Any) -> None:
            case.task = asyncio.create_task(fail())
            await asyncio.sleep(0)

        self.assertIn("nobody retrieved its exception: ValueError('planted')", failure_of(body))

    def test_one_that_is_retrieved_does_not(self) -> None:
        async def body(case: Any) -> None:
            with case.assertRaises(ValueError):
                await asyncio.create_task(fail())

        self.assertEqual(run_inner(inner_case(body)).report, "")


class TestCallbacks(unittest.TestCase):
    def test_an_exception_fails_the_test(self) -> None:
        async def body(case: Any) -> None:
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)

        report = failure_of(body)
        self.assertRegex(report, r"callback .*lambda>\(\) at .*test_leaks\.py:\d+.* failed: ZeroDivisionError")

    def test_one_in_a_done_callback_of_the_last_moment_is_found_too(self) -> None:
        async def body(case: Any) -> None:
            case.addCleanup(asyncio.get_running_loop().call_soon, lambda: 1 / 0)
            asyncio.create_task(forever())

        self.assertIn("ZeroDivisionError", failure_of(body, leaks="ignore"))

    def test_a_handler_of_the_test_takes_precedence(self) -> None:
        async def body(case: Any) -> None:
            seen: list[Any] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, event: seen.append(event["exception"]))
            loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            case.assertEqual(len(seen), 1)

        self.assertEqual(run_inner(inner_case(body)).report, "")


class TestThreads(unittest.TestCase):
    def test_an_exception_fails_the_test_with_the_line_that_started_the_thread(self) -> None:
        def body(case: Any) -> None:
            thread = threading.Thread(target=lambda: 1 / 0, name="digger")
            thread.start()
            thread.join()

        self.assertRegex(
            failure_of(body), r"thread 'digger' ended with ZeroDivisionError.*started at .*test_leaks\.py:\d+ in body"
        )

    def test_an_exception_in_a_thread_of_a_thread_too(self) -> None:
        def outer() -> None:
            inner = threading.Thread(target=lambda: 1 / 0, name="inner")
            inner.start()
            inner.join()

        def body(case: Any) -> None:
            thread = threading.Thread(target=outer)
            thread.start()
            thread.join()

        self.assertRegex(failure_of(body), "thread 'inner' ended with ZeroDivisionError.*in outer")

    def test_system_exit_ends_a_thread_in_peace(self) -> None:
        def body(case: Any) -> None:
            thread = threading.Thread(target=sys.exit)
            thread.start()
            thread.join()

        self.assertEqual(run_inner(inner_case(body)).report, "")


class _Troubled:
    def __del__(self) -> None:
        raise KeyError("finaliser")


class TestUnraisable(unittest.TestCase):
    def test_an_exception_in_a_finaliser_fails_the_test(self) -> None:
        async def body(case: Any) -> None:
            _Troubled()

        self.assertRegex(
            failure_of(body), r"_Troubled.__del__.*KeyError\('finaliser'\) at .*test_leaks\.py:\d+ in __del__"
        )

    def test_garbage_of_an_earlier_test_is_not_blamed_on_a_later_one(self) -> None:
        def litter() -> None:
            heap: list[Any] = [_Troubled()]
            heap.append(heap)

        foreign: list[Any] = []
        self.addCleanup(setattr, sys, "unraisablehook", sys.unraisablehook)
        gc.disable()
        self.addCleanup(gc.enable)
        litter()
        sys.unraisablehook = foreign.append
        result = run_inner(inner_case(lambda case: gc.collect() and None))
        self.assertEqual(result.report, "")
        self.assertEqual([args.exc_type for args in foreign], [KeyError])
        foreign.clear()


class TestCoroutines(unittest.TestCase):
    maxDiff = None

    def check(self, body: Any) -> None:
        self.assertRegex(
            failure_of(body),
            rf"coroutine 'forever' was never awaited \(created at .*test_leaks\.py:\d+ in {body.__name__}",
        )

    def test_one_that_is_dropped_fails_the_test(self) -> None:
        async def body(case: Any) -> None:
            forever()

        self.check(body)

    def test_lines_are_noted_also_where_somebody_switched_that_off(self) -> None:
        context = IsolationContext("a test")
        outer = Watch(context)
        self.addCleanup(outer.close)
        sys.set_coroutine_origin_tracking_depth(0)  # As asyncio does when its debug mode ends.
        inner = Watch(context)
        self.addCleanup(inner.close)
        self.assertGreaterEqual(sys.get_coroutine_origin_tracking_depth(), 1)

    def test_a_search_does_not_disturb_who_is_making_a_tuple(self) -> None:
        forgotten = forever()
        self.addCleanup(forgotten.close)

        def numbers() -> Iterator[int]:
            for number in range(100):
                if number == 50:  # The tuple has begun; it could not grow while somebody else holds it.
                    found.extend(each for generation in range(3) for each in _coroutines(generation))
                yield number

        found: list[Any] = []
        self.assertEqual(len(tuple(numbers())), 100)
        self.assertIn(forgotten, found)

    def test_a_search_does_not_ask_objects_what_they_are(self) -> None:
        class Proxy:
            @property
            def __class__(self) -> Any:
                raise AssertionError("asked")

        there = Proxy()
        self.assertNotIn(there, [each for generation in range(3) for each in _coroutines(generation)])

    def test_in_a_plain_test_too(self) -> None:
        def plain(case: Any) -> None:
            forever()

        self.check(plain)

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_one_that_the_test_case_holds_is_found(self) -> None:
        async def holder(case: Any) -> None:
            case.coroutine = forever()

        self.check(holder)

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_one_in_a_cycle_is_found_without_collecting(self) -> None:
        async def cycle(case: Any) -> None:
            heap: list[Any] = [forever()]
            heap.append(heap)

        collections = gc.get_stats()[2]["collections"]
        self.check(cycle)
        self.assertEqual(gc.get_stats()[2]["collections"], collections)

    def test_one_that_survived_a_collection_is_found(self) -> None:
        held: list[Any] = []

        async def survivor(case: Any) -> None:
            held.append(forever())
            gc.collect(1)

        gc.collect()
        self.check(survivor)

    def test_one_is_found_also_if_the_collector_runs_while_it_is_looked_for(self) -> None:
        async def keep(case: Any) -> None:
            held.append(forever())

        def collect_first(generation: int) -> list[Any]:
            gc.collect(generation)
            return _coroutines(generation)

        with mock.patch("supertester.isolation.coroutines._coroutines", collect_first):
            self.check(keep)

    def test_one_is_found_also_if_litter_went_as_the_watch_began(self) -> None:
        async def keep(case: Any) -> None:
            held.append(forever())

        def listen_late(listener: Any) -> None:
            gc.collect()
            listen(listener)

        listen, litter = hooks.listen_to_collector, [keep.__code__.co_filename] * 3
        litter.append(litter)  # type: ignore[arg-type]
        del litter
        with mock.patch.object(hooks, "listen_to_collector", listen_late):
            self.check(keep)

    def test_one_that_the_set_up_made_is_found(self) -> None:
        class Inner(IsolatedTestCase):
            async def asyncSetUp(self) -> None:
                forever()

            async def test(self) -> None: ...

        self.assertRegex(run_inner(Inner("test")).report, "never awaited .*in asyncSetUp")

    def test_those_that_a_loop_of_another_thread_is_about_to_begin_are_left_alone(self) -> None:
        running, wanted, made, over = (threading.Event() for _ in range(4))
        begun: list[int] = []

        async def begin(number: int) -> None:
            begun.append(number)

        async def beside() -> None:
            running.set()
            wanted.wait(30)
            tasks = [asyncio.create_task(begin(number)) for number in range(3)]
            next_one = begin(3)
            made.set()
            over.wait(30)  # The loop has had no time for them yet.
            await asyncio.wait(tasks)
            await next_one

        def body(case: Any) -> None:
            wanted.set()
            made.wait(30)

        thread = threading.Thread(target=lambda: asyncio.run(beside(), debug=True))
        thread.start()
        try:
            self.assertTrue(running.wait(30))  # The selector of the loop, too, is none that the test leaves open.
            self.assertEqual(run_inner(inner_case(body)).report, "")
        finally:
            over.set()
            thread.join()
        self.assertEqual(begun, [0, 1, 2, 3])

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_one_is_found_also_beside_a_task_whose_loop_is_none(self) -> None:
        class Steps:
            def get_debug(self) -> bool:
                return False

            def call_soon(self, callback: Any, *args: Any, context: Any = None) -> None: ...

        async def keep(case: Any) -> None:
            held.append(forever())

        coroutine = forever()
        task = asyncio.Task(coroutine, loop=Steps())  # type: ignore[arg-type]
        self.addCleanup(coroutine.close)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.check(keep)

    def test_the_next_test_is_innocent(self) -> None:
        held: list[Any] = []

        class Inner(IsolatedTestCase):
            async def test_1(self) -> None:
                held.append(forever())

            async def test_2(self) -> None:
                held.clear()
                gc.collect()

        result = run_inner(Inner)
        self.assertEqual([case.id().rpartition(".")[2] for case, _ in result.failures], ["test_1"])

    def test_outside_of_tests_python_warns_as_ever(self) -> None:
        run_inner(inner_case(lambda case: None))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forever()
        [warning] = caught
        self.assertEqual((warning.category, warning.filename), (RuntimeWarning, __file__))
        self.assertIn("coroutine 'forever' was never awaited", str(warning.message))

    def test_python_notes_as_little_as_before_once_the_test_is_over(self) -> None:
        depth = sys.get_coroutine_origin_tracking_depth()
        run_inner(inner_case(lambda case: case.assertEqual(sys.get_coroutine_origin_tracking_depth(), 1)))
        self.assertEqual(sys.get_coroutine_origin_tracking_depth(), depth)


def from_cache(source: str, name: str) -> SimpleNamespace:
    """Return what *source* defines if it comes from Python's cache of bytecode, under the *name* of a file."""
    there = {"__name__": __name__, "forever": forever, "held": [], "gc": gc}
    exec(marshal.loads(marshal.dumps(compile(dedent(source), name, "exec"))), there)
    return SimpleNamespace(**there)


class TestCoroutinesOfFilesFromACache(unittest.TestCase):
    """Python 3.13 does not count the references to the name of such a file."""

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_one_is_found(self) -> None:
        keep = from_cache("async def keep(case): held.append(forever())", "/cached/test_1.py").keep
        name = keep.__code__.co_filename
        self.assertEqual(sys.getrefcount(name) >= _IMMORTAL, sys.version_info >= (3, 13))
        self.assertRegex(failure_of(keep), "'forever' was never awaited .created at /cached/test_1.py:1 in keep")

    def test_one_that_survived_collections_is_found(self) -> None:
        source = """
            async def keep(case):
                held.append(forever())
                for generation in generations:
                    gc.collect(generation)
        """
        for generations in ([0], [1], [2], [0, 1], [0, 2, 0], [2, 1, 0], [1, 1, 1]):
            # So this is what happens on every Python.
            with self.subTest(generations=generations), mock.patch(f"{Watch.__module__}._IMMORTAL", 0):
                module = from_cache(source, "/cached/test_2.py")
                module.keep.__globals__["generations"] = generations
                self.assertRegex(failure_of(module.keep), r"never awaited .created at /cached/test_2.py:3 in keep")

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_one_of_before_the_test_is_none_of_its_problems(self) -> None:
        module = from_cache(
            """
            def make(): return forever()
            async def body(case): case.assertTrue(held)
            """,
            "/cached/test_3.py",
        )
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(1)
        try:
            module.held.append(module.make())
            self.assertEqual(run_inner(inner_case(module.body)).report, "")
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)
        [older] = module.held
        self.assertEqual(older.cr_origin[0][0], "/cached/test_3.py")
        self.assertIsNotNone(older.cr_frame, "somebody closed it")
        older.close()

    def test_nothing_is_collected_where_somebody_switched_that_off(self) -> None:
        keep = from_cache("async def keep(case): held.append(forever())", "/cached/test_4.py").keep
        gc.disable()
        try:
            collections = gc.get_stats()
            self.assertRegex(failure_of(keep), "'forever' was never awaited .created at /cached/test_4.py:1 in keep")
            self.assertEqual(gc.get_stats(), collections)
        finally:
            gc.enable()

    def test_the_second_run_finds_what_the_first_does(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.joinpath("test_it.py").write_text(
            dedent(
                """
                from supertester.case import IsolatedTestCase

                held = []

                async def forever(): ...

                class Test(IsolatedTestCase):
                    async def test(self):
                        held.append(forever())
                """
            )
        )
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_"))}
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "unittest", "test_it"],
                cwd=folder,
                env={**ours, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "cache")},
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            self.assertRegex(done.stderr, r"'forever' was never awaited .created at .*test_it\.py:10 in test")
        self.assertTrue([*folder.glob("cache/**/test_it.*.pyc")], "nothing was cached")


class _Parent(GenServer):
    async def init(self) -> None:
        await GenServer.start_link(name="orphan")


class TestProcesses(unittest.TestCase):
    def test_a_bare_start_left_running_fails_the_test_with_its_line(self) -> None:
        async def body(case: Any) -> None:
            await GenServer.start(name="lost")

        self.assertRegex(
            failure_of(body), r"<Pid \d+ GenServer 'lost'> \(started at .*test_leaks\.py:\d+ in body\) was left running"
        )

    def test_one_that_the_test_stops_does_not(self) -> None:
        async def body(case: Any) -> None:
            server = await GenServer.start()
            await server.stop()

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_one_that_a_cleanup_stops_does_not(self) -> None:
        async def body(case: Any) -> None:
            server = await GenServer.start()
            case.addAsyncCleanup(server.stop)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_an_orphan_is_named_with_its_dead_parent(self) -> None:
        async def body(case: Any) -> None:
            parent = await _Parent.start_link()
            await parent.stop()

        self.assertRegex(
            failure_of(body), r"'orphan'> .* was left running; its parent <Pid \d+ _Parent dead: NORMAL> is gone"
        )

    def test_leaked_processes_are_dead_afterwards(self) -> None:
        pids: list[Any] = []

        async def body(case: Any) -> None:
            pids.append(await GenServer.start())

        failure_of(body)
        self.assertFalse(pids[0].is_alive())

    def test_they_can_be_tolerated(self) -> None:
        async def body(case: Any) -> None:
            await GenServer.start()

        self.assertEqual(run_inner(inner_case(body, leaks={"processes": "ignore"})).report, "")

    def test_what_start_link_started_is_no_leak(self) -> None:
        async def body(case: Any) -> None:
            await GenServer.start_link()
            await Supervisor.start_link([])

        for mode in ("basic", "registry"):
            with self.subTest(mode=mode):
                self.assertEqual(run_inner(inner_case(body, isolation=mode)).report, "")

    def test_one_without_a_line_is_named_all_the_same(self) -> None:
        async def body(case: Any) -> None:
            with mock.patch("supertester.isolation.world.here", return_value=None):
                await GenServer.start(name="lost")

        self.assertIn("'lost'> was left running", failure_of(body))


class TestTheLoop(unittest.TestCase):
    def test_what_it_reports_without_an_exception_fails_the_test_too(self) -> None:
        async def body(case: Any) -> None:
            loop = asyncio.get_running_loop()
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0))
            loop.call_exception_handler({"message": "planted", "task": task})
            loop.call_exception_handler({})

        report = failure_of(body)
        self.assertRegex(report, r"task 'sleep' \(created at .*: planted")
        self.assertIn("the event loop reports an error", report)

    def test_a_task_that_fails_while_it_is_cancelled_is_one_leak_only(self) -> None:
        async def spiteful() -> None:
            try:
                await forever()
            finally:
                raise OSError("spite")

        async def body(case: Any) -> None:
            asyncio.create_task(spiteful())
            await asyncio.sleep(0)

        report = failure_of(body)
        self.assertIn("has a problem that", report)
        self.assertIn("spiteful", report)

    def test_a_task_that_nobody_holds_is_a_leak_also_if_it_is_collected(self) -> None:
        async def lonely() -> None:
            await asyncio.get_running_loop().create_future()

        async def body(case: Any) -> None:
            asyncio.create_task(lonely())
            await asyncio.sleep(0)
            gc.collect()

        self.assertRegex(failure_of(body), r"lonely' \(created at .*was left running, and nobody held it")
        self.assertEqual(run_inner(inner_case(body, leaks="ignore")).report, "")


class TestHooks(unittest.TestCase):
    def test_know_the_outer_test_again_after_an_inner_one_in_the_same_thread(self) -> None:
        def body(case: Any) -> None:
            inner = unittest.TestResult()
            inner_case(lambda case: None).run(inner)
            case.assertTrue(inner.wasSuccessful())
            case.coroutine = None
            fail()

        self.assertIn("coroutine 'fail' was never awaited", failure_of(body))

    def test_a_hook_for_coroutines_of_somebody_else_gets_what_is_not_a_tests(self) -> None:
        seen: list[str] = []
        run_inner(inner_case(lambda case: None))
        self.addCleanup(setattr, warnings, "_warn_unawaited_coroutine", warnings._warn_unawaited_coroutine)  # type: ignore[attr-defined]
        warnings._warn_unawaited_coroutine = lambda coroutine: seen.append(coroutine.__name__)  # type: ignore[attr-defined]
        run_inner(inner_case(lambda case: None))
        forever()
        self.assertEqual(seen, ["forever"])

    def test_a_coroutine_in_older_garbage_is_not_blamed_on_the_test(self) -> None:
        def litter() -> None:
            heap: list[Any] = [forever()]
            heap.append(heap)

        gc.disable()
        self.addCleanup(gc.enable)
        litter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertEqual(run_inner(inner_case(lambda case: gc.collect() and None)).report, "")
        self.assertIn("coroutine 'forever' was never awaited", str(caught[0].message))

    @alone("compares hooks of the process, which other tests replace for their time")
    def test_are_installed_once(self) -> None:
        run_inner(inner_case(lambda case: None))
        before = (threading.excepthook, sys.unraisablehook, threading.Thread.start, list(gc.callbacks))
        for _ in range(3):
            run_inner(inner_case(lambda case: None))
        self.assertEqual((threading.excepthook, sys.unraisablehook, threading.Thread.start, list(gc.callbacks)), before)

    def test_of_others_may_be_any_callable(self) -> None:
        class Unhashable:
            __hash__ = None  # type: ignore[assignment]

            def __call__(self, args: Any) -> None: ...

        run_inner(inner_case(lambda case: None))
        self.addCleanup(setattr, sys, "unraisablehook", sys.unraisablehook)
        sys.unraisablehook = Unhashable()
        self.assertEqual(run_inner(inner_case(lambda case: None)).report, "")

    def test_of_ours_that_were_put_back_do_not_pile_up(self) -> None:
        run_inner(inner_case(lambda case: None))
        first = threading.excepthook
        self.addCleanup(setattr, threading, "excepthook", first)
        threading.excepthook = lambda args: None
        run_inner(inner_case(lambda case: None))
        threading.excepthook = first
        run_inner(inner_case(lambda case: None))
        self.assertIs(hooks._previous[threading.excepthook], hooks._previous[first])

    @alone("replaces the hook of the process for exceptions of threads")
    def test_what_is_not_a_tests_goes_to_the_hook_before(self) -> None:
        seen: list[Any] = []
        self.addCleanup(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = lambda args: seen.append(args.exc_type)
        run_inner(inner_case(lambda case: None))
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        self.assertEqual(seen, [ZeroDivisionError])

    def test_a_hook_that_was_put_in_front_does_not_hide_failures(self) -> None:
        self.addCleanup(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = lambda args: None

        def body(case: Any) -> None:
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()

        self.assertIn("ZeroDivisionError", failure_of(body))
