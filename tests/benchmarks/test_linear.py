"""The comparison of checkers of linearizability: it decides what it times."""

from __future__ import annotations

import contextlib
import io
import unittest

from benchmarks import linear
from benchmarks.histories import is_legal, keeps_time, large, possible, spoilt
from supertester.linear import MODELS, Operation


class TestComparison(unittest.TestCase):
    def test_is_shown_as_a_table(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            linear.compare(1, {("register", 5, 200): (1.0, 1.0), ("counter", 2, 200): (1.0, 1.0)})
        lines = output.getvalue().splitlines()
        self.assertRegex(lines[1], r"register +5 clients +200 +right +\d+\.\d\d +\d+\.\d\d +1\.00 +\d+\.\d\dx")
        self.assertRegex(lines[4], r"counter +2 clients +200 +wrong ")
        self.assertIn("in the median", lines[-1])

    def test_brute_force_agrees(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(0, linear.main(["--fuzz", "20"]))
        self.assertIn("0 of 140 verdicts and orders are wrong", output.getvalue())


class TestHistories(unittest.TestCase):
    def test_a_history_can_be_too_short_to_be_spoilt(self) -> None:
        with self.assertRaisesRegex(ValueError, "nothing to spoil in a history of a register with 10 operations"):
            spoilt(large("register", 10, 3), "register")

    def test_brute_force_knows_right_from_wrong(self) -> None:
        one, two = (Operation("a", "enqueue", (n,), None, 2 * n, 2 * n + 1) for n in (1, 2))
        first, second = (Operation("b", "dequeue", (), n, 4 + 2 * n, 5 + 2 * n) for n in (1, 2))
        queue = MODELS["queue"]
        self.assertTrue(possible([one, two, first, second], queue))
        self.assertFalse(possible([one, two, second], queue))
        self.assertFalse(is_legal([two, one, first], queue))
        self.assertTrue(keeps_time([one, two, first], queue))
        self.assertFalse(keeps_time([two, one], queue))


if __name__ == "__main__":
    unittest.main()
