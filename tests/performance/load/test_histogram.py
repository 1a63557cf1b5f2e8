"""The histogram, held against sorted samples."""

from __future__ import annotations

import json
import math
import random
import unittest

from supertester.performance.load import Histogram


def histogram_of(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


class TestHistogram(unittest.TestCase):
    def test_percentiles_are_those_of_the_samples_to_a_thousandth(self) -> None:
        chance = random.Random(7341)
        values = sorted(int(chance.lognormvariate(12, 3)) for _ in range(20_000))
        found = histogram_of(values)
        for percent in (1, 50, 90, 95, 99, 99.9, 99.99):
            exact = values[math.ceil(len(values) * percent / 100) - 1]
            got = found.value_at(percent)
            assert got is not None
            self.assertTrue(exact <= got <= exact * 1.001 + 1, (percent, exact, got))
        self.assertEqual((found.minimum, found.maximum, found.count), (values[0], values[-1], 20_000))
        self.assertEqual(found.mean, sum(values) / len(values))

    def test_every_bucket_has_the_values_that_fall_into_it(self) -> None:
        for value in (0, 1, 1_023, 1_024, 2_047, 2_048, 2_049, 4_095, 4_096, 10**6, 10**9, 3_600 * 10**9):
            ((highest, count),) = histogram_of([value])
            self.assertEqual(count, 1)
            self.assertTrue(value <= highest <= value * 1.001, (value, highest))

    def test_many_at_once_are_counted_like_one_after_the_other(self) -> None:
        chance = random.Random(51)
        edges = [0, 1, 2, 1_023, 1_024, 1_025, 2_047, 2_048, 2_049, 4_095, 4_096, 10**9, 3_600 * 10**9, 2**52 - 1]
        values = [*edges, *range(5_000), *(int(chance.lognormvariate(12, 5)) for _ in range(5_000))]
        at_once = Histogram()
        for start in range(0, len(values), 512):
            at_once.record_all(values[start : start + 512])
        at_once.record_all([])
        self.assertEqual(at_once, histogram_of(values))

    def test_too_few_samples_have_no_percentile(self) -> None:
        self.assertIsNone(histogram_of([1] * 99).value_at(99))
        self.assertEqual(histogram_of([1] * 100).value_at(99), 1)
        self.assertIsNone(Histogram().value_at(50))
        self.assertEqual(Histogram().mean, 0)

    def test_those_of_several_machines_add_up(self) -> None:
        one, other = histogram_of([5, 10**7]), histogram_of([1, 10**10])
        other.add(histogram_of([]))
        one.add(Histogram.from_dict(json.loads(json.dumps(other.to_dict()))))
        self.assertEqual(one, histogram_of([5, 10**7, 1, 10**10]))
        empty = Histogram()
        empty.add(other)
        self.assertEqual(empty, other)

    def test_does_not_grow_with_the_number_of_samples(self) -> None:
        found = histogram_of([10**9])
        size = len(found._counts)
        for _ in range(1_000):
            found.record(10**9 - 1)
        self.assertEqual(len(found._counts), size)
        self.assertLess(size, 60_000)
