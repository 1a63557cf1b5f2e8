"""`supertester.testing`: tests of tests. Here they show what a failure says."""

from __future__ import annotations

import unittest

import show_failure


class TestFailures(unittest.TestCase):
    """The tests in `show_failure` are wrong on purpose."""

    def assert_says(self, test: str, *words: str) -> None:
        report = show_failure.report_of(test)
        for each in words:
            self.assertIn(each, report)

    def test_a_wrong_state_is_shown_as_a_difference(self) -> None:
        """A failed assertion shows what differs, the last messages of the server, and how to repeat the run."""
        self.assert_says(
            "test_expects_a_wrong_state",
            "- {'count': 7}",
            "+ {'count': 6}",
            "cast ('add', 1)",
            "SUPERTESTER_SEED=",
        )

    def test_a_crash_is_shown_with_its_cause(self) -> None:
        """The crash of a server shows the line in the server, and the message that it died of."""
        self.assert_says("test_crashes_its_server", "ZeroDivisionError", "counter.py", "call ('divide', 0)")

    def test_a_forgotten_await_fails_the_test(self) -> None:
        """A coroutine that nobody awaited fails the test that made it."""
        self.assert_says("test_forgets_to_await", "call", "never awaited", "show_failure.py")

    def test_a_task_left_running_fails_the_test(self) -> None:
        """A task left running fails the test, with the line that started it."""
        self.assert_says("test_leaves_a_task_running", "left running", "show_failure.py")
