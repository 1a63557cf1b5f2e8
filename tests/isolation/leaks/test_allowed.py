"""Leaks that are allowed, and the report of those that happen no more."""

import asyncio
import subprocess
import sys
import threading
import unittest
import warnings
from typing import Any
from unittest import mock

from supertester import UsageError, allow_leak
from supertester.case import IsolatedTestCase
from supertester.isolation import UnusedAllowance, unused_allowances
from supertester.isolation.leaks import allowed, watch
from supertester.otp import GenServer
from supertester.testing import run_inner
from tests.planted import forever

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


class Allowed(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.object(watch, "_ENDING", 0.05)
        patch.start()
        self.addCleanup(patch.stop)
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        before = list(allowed._everywhere)
        self.addCleanup(allowed._everywhere.__setitem__, slice(None), before)

    def leave_thread(self, name: str) -> None:
        threading.Thread(target=self.over.wait, name=name, daemon=True).start()

    def report_of(self, test: Any) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnusedAllowance)
            return run_inner(test).report


class TestAllowLeak(Allowed):
    def test_on_a_test(self) -> None:
        outer = self

        class Case(IsolatedTestCase):
            @allow_leak("threads", match="kafka-*", reason="the client never joins it")
            def test_allowed(self) -> None:
                outer.leave_thread("kafka-1")

            def test_other(self) -> None:
                outer.leave_thread("kafka-2")

            @allow_leak("threads", match="rabbit-*", reason="another")
            @allow_leak("children", reason="another kind")
            def test_unmatched(self) -> None:
                outer.leave_thread("kafka-3")

        report = self.report_of(Case)
        self.assertNotIn("kafka-1", report)
        self.assertIn("thread 'kafka-2'", report)
        self.assertIn("thread 'kafka-3'", report)

    def test_on_a_class_and_those_that_inherit_from_it(self) -> None:
        outer = self

        @allow_leak("threads", match="kafka-*", reason="the client never joins it")
        class Base(IsolatedTestCase): ...

        class Case(Base):
            async def test(self) -> None:
                outer.leave_thread("kafka-1")

        self.assertEqual(self.report_of(Case), "")

    def test_everywhere(self) -> None:
        outer = self

        class Case(IsolatedTestCase):
            def test(self) -> None:
                outer.leave_thread("kafka-everywhere")

        allow_leak("threads", match="kafka-everywhere", reason="the client never joins it")
        self.assertTrue(any("kafka-everywhere" in line for line in unused_allowances()))
        self.assertEqual(self.report_of(Case), "")
        self.assertFalse(any("kafka-everywhere" in line for line in unused_allowances()))

    def test_what_is_allowed_is_not_ended(self) -> None:
        children: list[Any] = []

        class Case(IsolatedTestCase):
            @allow_leak("children", match="*signal.pause*", reason="it goes on")
            def test(self) -> None:
                children.append(subprocess.Popen(FOREVER))

        self.assertEqual(self.report_of(Case), "")
        self.assertIsNone(children[0].poll())
        children[0].kill()
        children[0].wait()

    def test_tasks_and_processes_too(self) -> None:
        @allow_leak("tasks", match="pump", reason="by name")
        @allow_leak("tasks", match="forever", reason="by its function")
        @allow_leak("processes", match="*Idle", reason="by its class")
        class Case(IsolatedTestCase):
            async def test(self) -> None:
                class Idle(GenServer): ...

                self.tasks = [asyncio.create_task(forever(), name="pump"), asyncio.create_task(forever())]
                await Idle.start()

        self.assertEqual(self.report_of(Case), "")

    def test_nonsense_is_refused_with_the_value_and_the_remedy(self) -> None:
        for given, message in (
            ({"kind": "goats", "reason": "none"}, "a kind of leaks must be one of tasks, .*, got 'goats'"),
            ({"kind": "threads", "reason": " "}, r"an allowed leak needs a reason, got reason=' '; say why"),
            ({"kind": "threads", "reason": None}, "an allowed leak needs a reason, got reason=None"),
            ({"kind": "threads", "match": "", "reason": "none"}, "match must be a pattern such as .*, got match=''"),
        ):
            with self.subTest(given=given), self.assertRaisesRegex(UsageError, message):
                allow_leak(**given)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "reason"):
            allow_leak("threads")  # type: ignore[call-arg]
        with self.assertRaisesRegex(TypeError, "goes on a test method or class, got 3"):
            allow_leak("threads", reason="none")(3)  # type: ignore[type-var]


class TestUnusedAllowances(Allowed):
    def warnings_of(self, test: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UnusedAllowance)
            self.assertEqual(run_inner(test).report, "")
        return [str(each.message) for each in caught if issubclass(each.category, UnusedAllowance)]

    def test_are_named_at_the_end_of_the_class_with_their_line(self) -> None:
        @allow_leak("threads", match="kafka-*", reason="the client never joins it")
        class Case(IsolatedTestCase):
            @allow_leak("children", reason="it goes on")
            def test(self) -> None: ...

        [first, second] = sorted(self.warnings_of(Case))
        self.assertRegex(
            first, r"no test of .*Case needs allow_leak\('children', match='\*', reason='it goes on'\) at "
        )
        self.assertRegex(second, r"needs allow_leak\('threads', match='kafka-\*', .*\) at .*test_allowed\.py:\d+ in")

    def test_those_that_are_used_are_not(self) -> None:
        outer = self

        @allow_leak("threads", match="kafka-*", reason="the client never joins it")
        class Case(IsolatedTestCase):
            def test_leaks(self) -> None:
                outer.leave_thread("kafka-1")

            def test_does_not(self) -> None: ...

        self.assertEqual(self.warnings_of(Case), [])

    def test_nor_are_those_of_tests_that_did_not_run(self) -> None:
        @allow_leak("threads", match="kafka-*", reason="the client never joins it")
        class Case(IsolatedTestCase):
            def test_runs(self) -> None: ...

            @allow_leak("children", reason="it goes on")
            def test_does_not(self) -> None: ...

            @unittest.skip("today")
            @allow_leak("children", reason="it goes on")
            def test_is_skipped(self) -> None: ...

        self.assertEqual(self.warnings_of(unittest.TestSuite([Case("test_runs"), Case("test_is_skipped")])), [])


class TestPolicies(Allowed):
    def case(self, **options: Any) -> type[unittest.TestCase]:
        outer = self

        class Case(IsolatedTestCase, **options):
            def test(self) -> None:
                outer.leave_thread("pump")

        return Case

    def test_by_kind(self) -> None:
        for leaks in ("ignore", {"threads": "ignore"}, {"threads": "ignore", "tasks": "fail"}):
            with self.subTest(leaks=leaks):
                self.assertEqual(self.report_of(self.case(leaks=leaks)), "")
        with self.assertWarnsRegex(ResourceWarning, "daemon thread 'pump' .* was left running"):
            self.assertEqual(self.report_of(self.case(leaks={"threads": "warn"})), "")

    def test_lesser_modes_look_for_them_when_asked_to(self) -> None:
        self.assertEqual(self.report_of(self.case(isolation="registry")), "")
        self.assertEqual(self.report_of(self.case(isolation="basic", leaks="fail")), "")
        self.assertIn("'pump'", self.report_of(self.case(isolation="basic", leaks={"threads": "fail"})))
        self.assertIn("'pump'", self.report_of(self.case(isolation="contamination_detection")))
