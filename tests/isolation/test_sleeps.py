import asyncio
import contextlib
import copy
import inspect
import pickle
import sys
import threading
import time
import types
import unittest
import warnings
from asyncio import sleep as asyncio_nap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep as nap
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.isolation import IsolationFailure, allow_sleep, isolate, uninstall
from supertester.isolation.sleeps import is_test_module
from supertester.schedule.entropy import controlled_entropy
from supertester.testing import inner_case, run_inner
from tests.alone import alone

TICK = 1e-6
"""Long enough to be a sleep, and too short to wait for anything."""


def report_of(body: Callable[[Any], Any], *bases: type, **options: Any) -> str:
    return run_inner(inner_case(body, *bases, **options)).report


def line_of(function: Callable[..., Any], text: str) -> int:
    """The line in this file at which *function* has *text*."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def foreign(name: str, source: str) -> types.ModuleType:
    """A module that is not in this file."""
    module = types.ModuleType(name)
    exec(compile(source, f"/elsewhere/{name.replace('.', '/')}.py", "exec"), vars(module))
    return module


SLEEPY = "import time, asyncio\ndef work():\n    time.sleep(1e-6)\nasync def awork():\n    await asyncio.sleep(1e-6)\n"


class TestSleeps(unittest.TestCase):
    def assert_reported(self, body: Callable[[Any], Any], text: str, kind: str = "time.sleep", **options: Any) -> str:
        report = report_of(body, **options)
        expected = f"{__file__}:{line_of(body, text)} in "
        self.assertIn(expected, report)
        self.assertIn(f" sleeps for 1e-06 s ({kind}); wait for the condition instead, e.g. with assert_ev", report)
        self.assertIn("or say why there is none with @allow_sleep(reason=...)", report)
        return report

    def test_of_a_thread_fails_the_test_naming_the_line(self) -> None:
        self.assert_reported(lambda case: time.sleep(TICK), "time.sleep")

    def test_of_a_task_fails_the_test_naming_the_line(self) -> None:
        async def body(case: Any) -> None:
            await asyncio.sleep(TICK)

        self.assert_reported(body, "asyncio.sleep", "asyncio.sleep")

    def test_under_names_that_were_bound_before(self) -> None:
        async def body(case: Any) -> None:
            await asyncio_nap(TICK)

        self.assert_reported(lambda case: nap(TICK), "nap(TICK)")
        self.assert_reported(body, "asyncio_nap", "asyncio.sleep")

    def test_under_names_that_are_bound_in_the_test(self) -> None:
        def body(case: Any) -> None:
            from time import sleep

            sleep(TICK)

        self.assert_reported(body, "sleep(TICK)")

    def test_do_not_stop_the_test_and_come_beside_its_own_failure(self) -> None:
        def body(case: Any) -> None:
            time.sleep(TICK)
            case.assertEqual(1, 2)

        self.assertIn("1 != 2", self.assert_reported(body, "time.sleep"))

    def test_cannot_be_swallowed(self) -> None:
        def body(case: Any) -> None:
            with contextlib.suppress(BaseException):
                time.sleep(TICK)

        self.assert_reported(body, "time.sleep")

    def test_of_one_line_are_reported_once(self) -> None:
        def body(case: Any) -> None:
            for _ in range(100):
                time.sleep(TICK)

        self.assertEqual(self.assert_reported(body, "time.sleep").count("sleeps for"), 1)

    def test_in_fixtures_and_cleanups_count(self) -> None:
        class Fixtures(IsolatedTestCase):
            def setUp(self) -> None:
                time.sleep(TICK)
                self.addCleanup(lambda: time.sleep(TICK))

            async def asyncTearDown(self) -> None:
                await asyncio.sleep(TICK)

            def test(self) -> None: ...

        self.assertIn("has 3 problems", run_inner(Fixtures("test")).report)

    def test_of_a_thread_that_the_test_started_count(self) -> None:
        def body(case: Any) -> None:
            thread = threading.Thread(target=lambda: time.sleep(TICK))
            thread.start()
            thread.join()

        self.assert_reported(body, "time.sleep")

    def test_of_jobs_and_tasks_count(self) -> None:
        async def body(case: Any) -> None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(lambda: time.sleep(TICK)).result()
            await asyncio.create_task(asyncio.sleep(TICK))

        self.assert_reported(body, "time.sleep")
        self.assert_reported(body, "asyncio.sleep", "asyncio.sleep")

    def test_of_a_base_class_in_another_module_count(self) -> None:
        module = foreign("bases", SLEEPY + "class Base:\n    def pause(self):\n        time.sleep(1e-6)\n")
        report = report_of(lambda case: case.pause(), module.Base, IsolatedTestCase)
        self.assertIn("/elsewhere/bases.py:8 in pause sleeps for 1e-06 s", report)

    def test_of_a_helper_in_a_test_module_count(self) -> None:
        helper = foreign("shop.tests.support", SLEEPY)
        self.assertIn("/elsewhere/shop/tests/support.py:3 in work", report_of(lambda case: helper.work()))

    def test_of_a_helper_that_bound_the_name_before_count(self) -> None:
        uninstall()
        helper = foreign("conftest", "from time import sleep\ndef work():\n    sleep(1e-6)\n")
        with mock.patch.dict(sys.modules, {"conftest": helper}):
            self.assertIn("/elsewhere/conftest.py:3 in work", report_of(lambda case: helper.work()))
        uninstall()

    def test_of_code_under_test_do_not_count(self) -> None:
        shop = foreign("shop", SLEEPY)

        async def body(case: Any) -> None:
            shop.work()
            await shop.awork()
            await asyncio.to_thread(shop.work)

        self.assertEqual(report_of(body), "")

    def test_nothing_else_that_takes_time_is_one(self) -> None:
        async def body(case: Any) -> None:
            await asyncio.sleep(0)
            time.sleep(0)  # noqa: ASYNC251 - that it is harmless is the point
            threading.Event().wait(TICK)
            await asyncio.wait([asyncio.create_task(asyncio.sleep(0))], timeout=TICK)
            with case.assertRaises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), TICK)
            await asyncio.to_thread(time.sleep, TICK)  # Handed on: it is not the test that sleeps.

        self.assertEqual(report_of(body), "")

    def test_of_two_tests_at_once_are_told_apart(self) -> None:
        met = threading.Barrier(2, timeout=10)

        def sleeps(case: Any) -> None:
            met.wait()
            time.sleep(TICK)
            met.wait()

        def does_not(case: Any) -> None:
            met.wait()
            met.wait()

        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(report_of, [sleeps, does_not]))
        self.assertIn("sleeps for", reports[0])
        self.assertEqual(reports[1], "")

    def test_outside_of_test_cases_count(self) -> None:
        async def main() -> None:
            async with isolate("full_isolation"):
                await asyncio.sleep(TICK)

        with self.assertRaisesRegex(IsolationFailure, "test_sleeps.py:.* in main sleeps for 1e-06 s"):
            asyncio.run(main())


class TestPolicies(unittest.TestCase):
    def test_warn_warns_of_the_line(self) -> None:
        def body(case: Any) -> None:
            time.sleep(TICK)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertEqual(report_of(body, sleeps="warn"), "")
        [found] = [each for each in caught if "sleeps for" in str(each.message)]
        self.assertEqual((found.filename, found.lineno), (__file__, line_of(body, "time.sleep")))

    def test_ignore_ignores(self) -> None:
        self.assertEqual(report_of(lambda case: time.sleep(TICK), sleeps="ignore"), "")

    def test_lesser_modes_ignore_unless_they_are_told(self) -> None:
        for mode in ("basic", "registry"):
            self.assertEqual(report_of(lambda case: time.sleep(TICK), isolation=mode), "")
            self.assertIn("sleeps for", report_of(lambda case: time.sleep(TICK), isolation=mode, sleeps="fail"))


class TestAllowing(unittest.TestCase):
    def test_on_a_test(self) -> None:
        class Slow(IsolatedTestCase):
            @allow_sleep(reason="the modem has no signal for being ready")
            def test_allowed(self) -> None:
                time.sleep(TICK)

            def test_other(self) -> None:
                time.sleep(TICK)

        self.assertEqual(run_inner(Slow("test_allowed")).report, "")
        self.assertIn("sleeps for", run_inner(Slow("test_other")).report)

    def test_on_a_class(self) -> None:
        @allow_sleep(reason="all of it is about modems")
        class Slow(IsolatedTestCase):
            async def test(self) -> None:
                await asyncio.sleep(TICK)
                self.assertEqual(self.isolation.tags["allow_sleep"], "all of it is about modems")

        self.assertEqual(run_inner(Slow("test")).report, "")

    def test_needs_a_reason(self) -> None:
        for wrong in (allow_sleep, lambda: allow_sleep(reason=" "), lambda: allow_sleep(print)):
            with self.assertRaisesRegex(UsageError, "allow_sleep needs a reason, got reason=.*; write @allow_sleep"):
                wrong()
        with self.assertRaisesRegex(TypeError, "a reason is a text, got reason=3"):
            allow_sleep(reason=3)  # type: ignore[arg-type]


class TestWhatIsInstalled(unittest.TestCase):
    def setUp(self) -> None:
        run_inner(inner_case(lambda case: None))

    @alone("compares functions of time, which explorations beside it replace for their time")
    def test_looks_like_what_it_stands_for(self) -> None:
        class Holder:
            pause = time.sleep

        Holder().pause(0)
        self.assertEqual((time.sleep.__name__, repr(time.sleep)), ("sleep", "<built-in function sleep>"))
        self.assertIs(pickle.loads(pickle.dumps(time.sleep)), time.sleep)
        self.assertIs(copy.deepcopy(time.sleep), time.sleep)
        self.assertIs(pickle.loads(pickle.dumps(asyncio.sleep)), asyncio.sleep)
        self.assertTrue(asyncio.iscoroutinefunction(asyncio.sleep))
        self.assertEqual(list(inspect.signature(asyncio.sleep).parameters), ["delay", "result"])
        self.assertEqual(asyncio.run(asyncio.sleep(0, "result")), "result")
        with self.assertRaises(TypeError):
            time.sleep("long")  # type: ignore[arg-type]

    def test_is_the_same_while_somebody_explores(self) -> None:
        class Holder:
            pass

        def body(case: Any) -> None:
            time.sleep(TICK)

        with controlled_entropy():
            Holder.pause, Holder.clock = time.sleep, time.monotonic  # type: ignore[attr-defined]
            Holder().pause(0)  # type: ignore[attr-defined]
            self.assertGreater(Holder().clock(), 0)  # type: ignore[attr-defined]
            self.assertEqual(repr(time.monotonic), "<built-in function monotonic>")
            self.assertIs(pickle.loads(pickle.dumps(time.monotonic)), time.monotonic)
            self.assertIn(f"{__file__}:{line_of(body, 'time.sleep')} in ", report_of(body))

    def test_refuses_what_python_refuses_also_in_a_test(self) -> None:
        self.assertIn("TypeError", report_of(lambda case: time.sleep("long")))  # type: ignore[arg-type]
        self.assertIn("ValueError", report_of(lambda case: time.sleep(-1)))

    @alone("beside other tests nobody knows whose a coroutine is that somebody holds")
    def test_a_sleep_that_is_never_awaited_is_still_traced_to_its_line(self) -> None:
        def body(case: Any) -> None:
            asyncio.sleep(0)

        def holds(case: Any) -> None:
            case.held = asyncio.sleep(0)

        for each in (body, holds):
            expected = f"'sleep' was never awaited (created at {__file__}:{line_of(each, 'asyncio.sleep')}"
            self.assertIn(expected, report_of(each))

    def test_is_taken_out_by_uninstall(self) -> None:
        ours = time.sleep, asyncio.sleep, nap, asyncio_nap
        uninstall()
        present = time.sleep, asyncio.sleep, nap, asyncio_nap
        self.assertFalse(set(map(id, ours)) & set(map(id, present)))
        self.assertIs(type(nap), types.BuiltinFunctionType)
        self.assertIs(asyncio_nap, asyncio.sleep)
        self.assertIs(asyncio.tasks.sleep, asyncio.sleep)

    def test_a_test_module_is_known_by_its_name(self) -> None:
        for name in ("tests.support", "a.test_b", "a.b_test", "a.conftest"):
            self.assertTrue(is_test_module(name), name)
        for name in ("contest", "a.latest", "unittest.mock", "test.support"):
            self.assertFalse(is_test_module(name), name)
