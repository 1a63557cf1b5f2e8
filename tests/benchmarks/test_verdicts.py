"""The benchmark of verdicts counts them; what they are is no matter of a test."""

from __future__ import annotations

import contextlib
import io
import unittest

from benchmarks.load import USERS, bare_loop, generator
from benchmarks.verdicts import SIZE, main, operation, slower


class TestVerdicts(unittest.TestCase):
    def test_each_is_counted(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(main(["--times", "1", "--busy", "0", "--most", "1"]), 0)
        rows = [line.split() for line in output.getvalue().splitlines()[2:]]
        self.assertEqual([row[-5] for row in rows], ["cpu", "time", "cpu", "time"])
        self.assertEqual([sum(map(int, row[-4:-1])) for row in rows], [1, 1, 1, 1])

    def test_the_slower_operation_does_a_fifth_more(self) -> None:
        self.assertEqual((operation(), slower()), (SIZE, SIZE * 6 / 5))


class TestLoad(unittest.TestCase):
    def test_both_loops_do_their_operations(self) -> None:
        self.assertGreater(bare_loop(USERS), 0)
        self.assertGreater(generator(USERS), 0)
