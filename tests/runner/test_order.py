from __future__ import annotations

import itertools
import unittest

from supertester.errors import UsageError
from supertester.runner.order import failed_first, only_failed, repeated, shuffled
from tests.runner.made import declared

__tags__ = {"layer": "unit"}

NAMES = [f"tests.test_{module}.Test{cls}.test_{n}" for module in "ab" for cls in "CD" for n in range(10)]


class TestShuffle(unittest.TestCase):
    def test_the_order_is_that_of_the_seed(self) -> None:
        tests = [declared(name, index=index) for index, name in enumerate(NAMES)]
        once, again, other = shuffled(tests, 7), shuffled(tests[::-1], 7), shuffled(tests, 8)
        self.assertEqual(once, again)
        self.assertNotEqual(once, other)
        self.assertEqual(sorted(each.test_id for each in once), sorted(NAMES))

    def test_a_part_has_the_order_that_it_has_in_the_whole(self) -> None:
        tests = [declared(name) for name in NAMES]
        part = {each.test_id for each in tests[3::7]}
        whole = [each.test_id for each in shuffled(tests, 7) if each.test_id in part]
        self.assertEqual([each.test_id for each in shuffled([t for t in tests if t.test_id in part], 7)], whole)

    def test_tests_of_a_fixture_stay_together_and_those_of_a_class_within(self) -> None:
        tests = [declared(name, fixture="module tests.test_a" if "_a." in name else None) for name in NAMES]
        order = shuffled(tests, 7)
        places = [index for index, each in enumerate(order) if each.fixture]
        self.assertEqual(places, list(range(places[0], places[0] + 20)))
        classes = [each.class_id for each in order if each.fixture]
        self.assertEqual(sum(a != b for a, b in itertools.pairwise(classes)), 1)

    def test_tests_without_a_fixture_mix(self) -> None:
        classes = [each.class_id for each in shuffled([declared(name) for name in NAMES], 7)]
        self.assertGreater(sum(a != b for a, b in itertools.pairwise(classes)), 10)

    def test_each_repetition_has_an_order_of_its_own(self) -> None:
        tests = repeated([declared(name) for name in NAMES], 2)
        order = shuffled(tests, 7)
        first, second = ([each.test_id for each in order if each.attempt == n] for n in (1, 2))
        self.assertNotEqual(first, second)

    def test_a_name_that_is_no_text_is_hashed_all_the_same(self) -> None:
        self.assertEqual(len(shuffled([declared("\udcff")], 1)), 1)


class TestRepeat(unittest.TestCase):
    def test_all_run_once_before_one_runs_again(self) -> None:
        found = [(each.test_id, each.attempt) for each in repeated([declared("a"), declared("b")], 2)]
        self.assertEqual(found, [("a", 1), ("b", 1), ("a", 2), ("b", 2)])

    def test_no_times_is_a_mistake(self) -> None:
        with self.assertRaisesRegex(UsageError, "at least once, got times=0"):
            repeated([], 0)


class TestFailed(unittest.TestCase):
    def test_those_that_failed_come_first_and_the_rest_keeps_its_order(self) -> None:
        tests = [declared(name) for name in "abcd"]
        self.assertEqual([each.test_id for each in failed_first(tests, {"c"})], ["c", "a", "b", "d"])

    def test_a_fixture_comes_first_as_a_whole(self) -> None:
        tests = [declared("a"), declared("b", fixture="class C"), declared("c", fixture="class C"), declared("d")]
        self.assertEqual([each.test_id for each in failed_first(tests, {"c", "d"})], ["b", "c", "d", "a"])

    def test_only_those_that_failed(self) -> None:
        self.assertEqual([each.test_id for each in only_failed([declared("a"), declared("b")], {"b", "z"})], ["b"])

    def test_no_failure_to_run_again_is_said(self) -> None:
        with self.assertRaisesRegex(UsageError, "as far as is remembered, no test did; run without --last-failed"):
            only_failed([declared("a")], [])
        with self.assertRaisesRegex(UsageError, "those that did are none of these tests"):
            only_failed([declared("a")], ["z"])
