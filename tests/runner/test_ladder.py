"""Who ran out of time, and who is not to be bothered for another's sake."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any
from unittest import mock

from supertester.runner import ladder
from supertester.runner.ladder import Ladder, TestTimeout
from tests.runner.suites import run_suite

IN_C = {
    "test_in_c.py": """
        import ctypes, unittest

        __tags__ = {"timeout": 0.2}

        class TestInC(unittest.TestCase):
            def test_1(self): ctypes.CDLL(None).sleep(1000)
            def test_2(self): ctypes.PyDLL(None).sleep(1000)
            def test_3(self): ctypes.CDLL(None).sleep(1000)
            def test_4(self): ctypes.CDLL(None).sleep(1000)
            def test_5(self): ctypes.CDLL(None).sleep(1000)
            def test_6(self): ctypes.PyDLL(None).sleep(1000)
    """
}


class TestLadder(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.enterContext(mock.patch.object(ladder.time, "monotonic", lambda: self.now))
        self.ladder = Ladder()

    def test_a_signal_that_comes_late_does_not_touch_the_next_test(self) -> None:
        self.ladder.begin(5.0)
        self.now += 5.0
        self.ladder.end()
        self.ladder.climb()
        self.ladder.begin(5.0)
        self.now += 4.9
        self.ladder.climb()
        self.ladder.end()
        self.assertIsNone(self.ladder.reached)

    def test_what_is_due_is_interrupted(self) -> None:
        self.ladder.begin(5.0)
        self.now += 5.0
        with self.assertRaisesRegex(TestTimeout, "it ran for more than 5 s"):
            self.ladder.climb()

    def test_what_took_longer_ran_out_of_time_though_nothing_interrupted_it(self) -> None:
        self.ladder.begin(5.0)
        self.now += 5.5
        self.ladder.end()
        self.assertEqual(self.ladder.reached, "it ran for more than 5 s")
        self.ladder.begin(5.0)
        self.assertIsNone(self.ladder.reached)

    def test_a_signal_in_the_middle_of_the_first_rung_loses_nothing(self) -> None:
        async def climb() -> None:
            self.ladder.begin(5.0)
            self.now += 5.0
            self.ladder.climb()

        def interrupted(loop: Any) -> str:
            self.ladder.climb()
            return stacks(loop)

        stacks = ladder._task_stacks
        with (
            mock.patch.object(ladder, "_task_stacks", interrupted),
            self.assertRaisesRegex(TestTimeout, "it ran for more than 5 s"),
        ):
            asyncio.run(climb())
        self.assertRegex(self.ladder.reached or "", r"(?s)^it ran for more than 5 s.*task 'Task-\d+'.*in climb")

    def test_a_failure_of_the_first_rung_does_not_keep_the_second_away(self) -> None:
        async def climb() -> None:
            self.ladder.begin(5.0)
            self.now += 5.0
            with self.assertRaises(ZeroDivisionError):
                self.ladder.climb()
            self.ladder.climb()

        with (
            mock.patch.object(ladder, "_task_stacks", side_effect=ZeroDivisionError),
            self.assertRaisesRegex(TestTimeout, "it ran for more than 5 s"),
        ):
            asyncio.run(climb())


class TestInC(unittest.TestCase):
    def test_what_a_signal_wakes_up_ran_out_of_time_and_wakes_nobody_else(self) -> None:
        finished = run_suite(IN_C, "--grace=2")
        self.assertEqual(finished.count("TIMEOUT"), 6, finished.text)
        self.assertEqual(finished.text.count("all threads at that time:"), 6, finished.text)
        self.assertIn("declared 6, executed 6", finished.text)
