from __future__ import annotations

import unittest

from supertester.errors import UsageError
from supertester.runner.layers import layer_counts, layer_of, parse_limit, select
from tests.runner.made import declared

__tags__ = {"layer": "unit"}

TESTS = [
    declared("a", tags={"layer": "unit"}),
    declared("b", tags={"layer": "unit", "slow": True}),
    declared("c", tags={"layer": "system"}),
    declared("d"),
]


def chosen(**how: object) -> str:
    return "".join(test.test_id for test in select(TESTS, **how))  # type: ignore[arg-type]


class TestSelection(unittest.TestCase):
    def test_by_layer_by_tag_and_by_both(self) -> None:
        self.assertEqual(chosen(), "abcd")
        self.assertEqual(chosen(layers=["unit"]), "ab")
        self.assertEqual(chosen(layers=["unit", "system"]), "abc")
        self.assertEqual(chosen(tag="slow or layer=system"), "bc")
        self.assertEqual(chosen(layers=["unit"], tag="not slow"), "a")

    def test_a_layer_without_tests_is_a_mistake_also_beside_one_that_has_some(self) -> None:
        with self.assertRaises(UsageError) as caught:
            chosen(layers=["unit", "stress"])
        self.assertEqual(
            str(caught.exception),
            "no test is of the layer 'stress' (4 tests: 2 of unit, 1 of system, 1 of none); tag tests with "
            "@tag(layer='stress'), or their module or package with __tags__ = {'layer': 'stress'}",
        )
        with self.assertRaisesRegex(UsageError, "there is no test at all"):
            select([], layers=["unit"])

    def test_an_unknown_layer_names_the_one_that_was_meant(self) -> None:
        with self.assertRaisesRegex(UsageError, "there is no layer 'unti'; did you mean 'unit'?"):
            chosen(layers=["unti"])
        with self.assertRaisesRegex(UsageError, "the layers are unit, component, system, stress"):
            chosen(layers=["xyz"])

    def test_tags_that_no_test_has_are_a_mistake(self) -> None:
        with self.assertRaisesRegex(UsageError, r"no test has such tags: 'fast' \(of 4 tests\)"):
            chosen(tag="fast")

    def test_a_test_of_an_unknown_layer_is_named_when_layers_are_asked_for(self) -> None:
        with self.assertRaisesRegex(
            UsageError, "tests.x has the tag layer='units', which is no layer; did you mean 'unit'?"
        ):
            layer_of(declared("tests.x", tags={"layer": "units"}))

    def test_every_layer_is_counted(self) -> None:
        self.assertEqual(layer_counts(TESTS), {"unit": 2, "component": 0, "system": 1, "stress": 0, "": 1})


class TestLimits(unittest.TestCase):
    def test_limits_are_read_from_text(self) -> None:
        self.assertEqual(parse_limit("unit=0.5"), ("unit", 0.5))
        self.assertEqual(parse_limit("stress=none"), ("stress", None))

    def test_what_is_no_limit_is_refused(self) -> None:
        for text, message in {
            "units=1": "there is no layer 'units'; did you mean 'unit'?",
            "unit": "a limit is seconds or 'none', got 'unit'; write e.g. unit=0.5",
            "unit=soon": "got 'unit=soon'",
            "unit=0": "more than 0 seconds",
            "unit=nan": "more than 0 seconds",
        }.items():
            with self.subTest(text=text), self.assertRaises(UsageError) as caught:
                parse_limit(text)
            self.assertIn(message, str(caught.exception))
