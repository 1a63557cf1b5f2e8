from __future__ import annotations

import unittest
from typing import Any

from supertester.errors import UsageError
from supertester.runner.tag_expression import tag_matcher

__tags__ = {"layer": "unit"}


class TestExpressions(unittest.TestCase):
    def check(self, expression: str, *, yes: list[dict[str, Any]], no: list[dict[str, Any]]) -> None:
        matches = tag_matcher(expression)
        self.assertEqual([tags for tags in [*yes, *no] if matches(tags)], yes, expression)

    def test_a_name_is_true_where_the_tag_is(self) -> None:
        self.check("slow", yes=[{"slow": True}, {"slow": "very"}], no=[{}, {"slow": False}, {"fast": True}])

    def test_values_are_compared_as_text(self) -> None:
        self.check("pool=4", yes=[{"pool": 4}, {"pool": "4"}], no=[{"pool": 16}, {}])
        self.check("layer != unit", yes=[{"layer": "system"}, {}], no=[{"layer": "unit"}])
        self.check("layer=='unit'", yes=[{"layer": "unit"}], no=[{"layer": "units"}])

    def test_a_list_has_its_members(self) -> None:
        self.check("needs=db", yes=[{"needs": ["db", "net"]}, {"needs": "db"}], no=[{"needs": ["net"]}])

    def test_not_binds_closer_than_and_and_that_closer_than_or(self) -> None:
        self.check("a or b and not c", yes=[{"a": 1, "c": 1}, {"b": 1}], no=[{"b": 1, "c": 1}, {}])
        self.check("(a or b) and c", yes=[{"a": 1, "c": 1}], no=[{"a": 1}, {"c": 1}])
        self.check("not not a", yes=[{"a": 1}], no=[{}])

    def test_quotes_hold_spaces_and_words_of_the_grammar(self) -> None:
        self.check("owner='Ann and Bo'", yes=[{"owner": "Ann and Bo"}], no=[{"owner": "Ann"}])
        self.check('"not"', yes=[{"not": 1}], no=[{}])
        self.check("owner=''", yes=[{"owner": ""}], no=[{}, {"owner": "Ann"}])


class TestWhatIsNoExpression(unittest.TestCase):
    def refused(self, expression: str) -> str:
        with self.assertRaises(UsageError) as caught:
            tag_matcher(expression)
        return str(caught.exception)

    def test_the_place_is_shown(self) -> None:
        self.assertEqual(
            self.refused("layer=unit slow"),
            "tag expression: expected 'and', 'or' or the end, got 'slow'\n  layer=unit slow\n             ^",
        )

    def test_each_mistake_has_a_message(self) -> None:
        for expression, message in {
            "": "the tag expression is empty; write e.g. --tag 'layer=unit and not slow'",
            "a and": "expected a tag at the end",
            "(a": "expected ')'",
            "a=": "expected a value at the end",
            "not": "expected a tag at the end",
            "a & b": "expected 'and', 'or' or the end, got '&'",
            "a = = b": "expected a value, got '='",
            "'": 'cannot read "\'"',
            "a = or": "expected a value, got 'or'",
            ")": "expected a tag, got ')'",
        }.items():
            with self.subTest(expression=expression):
                self.assertIn(message, self.refused(expression))
