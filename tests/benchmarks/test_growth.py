"""The look at growth: it sees what tests leave behind."""

from __future__ import annotations

import contextlib
import io
import unittest

from benchmarks import growth
from tests.alone import alone
from tests.performance.frugal import frugal


@alone("counts what the whole process has")
class TestGrowth(unittest.TestCase):
    def setUp(self) -> None:
        frugal(self)

    def test_counts_after_so_many_tests(self) -> None:
        found = growth.growth((10, 20))
        self.assertEqual(list(found), [10, 20])
        self.assertEqual(found[10].keys(), found[20].keys())
        self.assertTrue(all(value >= 0 for value in found[20].values()))
        self.assertGreater(found[20]["kept by the library"], 0)

    def test_is_shown_as_a_table(self) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            growth.main((10, 20))
        self.assertRegex(output.getvalue(), r"after so many tests +10 +20\nRSS")

    def test_of_one_in_ten_tests_is_too_much_and_the_memory_may_wander(self) -> None:
        found = {
            100: {growth.RSS: 5, "threads": 1, "objects": 70},
            1_100: {growth.RSS: 9_000, "threads": 101, "objects": 75},
        }
        self.assertEqual(growth.grown(found), ["threads"])
