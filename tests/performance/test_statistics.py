"""Intervals and percentiles, on samples with known truth."""

from __future__ import annotations

import random
import unittest

from supertester.errors import UsageError
from supertester.performance.statistics import CONFIDENCE, median_interval, percentile


class TestIntervals(unittest.TestCase):
    def test_hold_the_true_median_as_often_as_they_say(self) -> None:
        chance = random.Random(7341)
        for confidence in (0.9, 0.998):
            missed = 0
            for _ in range(2_000):
                found = median_interval([chance.lognormvariate(0, 1) for _ in range(30)], confidence=confidence)
                missed += not found.low <= 1.0 <= found.high
            self.assertLess(missed / 2_000, (1 - confidence) * 1.5 + 0.001)

    def test_get_narrow_with_more_samples(self) -> None:
        chance = random.Random(1)
        widths = []
        for count in (10, 40, 160):
            found = median_interval([chance.gauss(100, 10) for _ in range(count)])
            self.assertGreaterEqual(found.confidence, CONFIDENCE)
            widths.append(found.high - found.low)
        self.assertEqual(widths, sorted(widths, reverse=True))

    def test_of_few_samples_are_less_sure(self) -> None:
        self.assertEqual(median_interval([3, 1, 2]).to_dict(), {
            "low": 1, "median": 2.0, "high": 3, "samples": 3, "confidence": 0.75,
        })  # fmt: skip
        self.assertEqual(median_interval([5]).confidence, 0.0)
        with self.assertRaisesRegex(UsageError, "needs samples"):
            median_interval([])


class TestPercentiles(unittest.TestCase):
    def test_are_the_nearest_rank(self) -> None:
        ordered = list(range(1, 1_001))
        self.assertEqual([percentile(ordered, each) for each in (50, 95, 99, 99.9)], [500, 950, 990, 999])

    def test_that_too_few_samples_cannot_tell_are_none(self) -> None:
        self.assertIsNone(percentile(range(99), 99))
        self.assertEqual(percentile(range(100), 99), 98)
        self.assertIsNone(percentile(range(999), 99.9))
