import unittest
from typing import Any

from supertester.context import Isolation, IsolationContext
from supertester.errors import UsageError
from supertester.isolation import isolation_allows_async, isolation_timeout
from supertester.isolation.options import Options
from supertester.isolation.tags import tag, tags_of


class TestModes(unittest.TestCase):
    def test_each_bounds_the_cleanup(self) -> None:
        self.assertEqual([isolation_timeout(mode) for mode in Isolation], [5.0, 10.0, 15.0, 30.0])

    def test_only_contamination_detection_runs_alone(self) -> None:
        self.assertEqual([isolation_allows_async(mode) for mode in Isolation], [True, True, True, False])

    def test_an_unknown_one_is_refused(self) -> None:
        for function in (isolation_timeout, isolation_allows_async):
            with self.assertRaisesRegex(UsageError, "unknown isolation mode 'total'; choose one of basic, registry"):
                function("total")


class TestOptions(unittest.TestCase):
    def test_nonsense_is_refused_with_the_value_and_the_remedy(self) -> None:
        cases: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"isolation": "total"}, UsageError, "unknown isolation mode 'total'"),
            ({"clock": "sundial"}, UsageError, "clock must be one of real, virtual, got 'sundial'"),
            ({"timeout": -1}, UsageError, "timeout must be 0 or more seconds, got timeout=-1"),
            ({"timeout": 0}, UsageError, "None means no limit"),
            ({"timeout": "5"}, TypeError, "timeout must be a number of seconds"),
            ({"leaks": "maybe"}, UsageError, "leaks must be one of fail, warn, ignore, got 'maybe'"),
            ({"leaks": {"tasks": "maybe"}}, UsageError, r"leaks\['tasks'\] must be one of fail, warn, ignore"),
            (
                {"leaks": {"goats": "fail"}},
                UsageError,
                "a kind of leaks must be one of tasks, processes, .*signals, got 'goats'",
            ),
            ({"leaks": 3}, TypeError, "leaks must be one of fail, warn, ignore or a mapping"),
            ({"crashes": "warn"}, UsageError, "crashes must be one of fail, ignore, got 'warn'"),
            ({"sleeps": "never"}, UsageError, "sleeps must be one of"),
            ({"debug": 1}, TypeError, "debug must be True or False, got debug=1"),
            ({"isolatoin": "basic"}, TypeError, r"unknown class keyword 'isolatoin' \(did you mean 'isolation'\?\)"),
            ({"zzz": 1}, TypeError, "unknown class keyword 'zzz'; the known ones are isolation, clock, timeout"),
        ]
        for given, kind, message in cases:
            with self.subTest(given=given), self.assertRaisesRegex(kind, message):
                Options.made_of(given)

    def test_a_feature_that_is_off_may_be_said_to_be_off(self) -> None:
        self.assertEqual(Options.made_of({"logs": False, "tables": []}).features, {"logs": False, "tables": []})

    def test_leaks_can_be_told_apart_by_kind(self) -> None:
        options = Options(leaks={"tasks": "warn"})
        self.assertEqual((options.leak_policy("tasks"), options.leak_policy("processes")), ("warn", "fail"))


class TestTag(unittest.TestCase):
    def test_tags_add_up(self) -> None:
        @tag(layer="unit")
        @tag(owner="me", layer="other")
        def test() -> None: ...

        self.assertEqual(tags_of(test), {"owner": "me", "layer": "unit"})

    def test_names_that_every_test_has_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "the tag 'file' is set for every test"):
            tag(file="x")

    def test_goes_on_tests_and_classes_only(self) -> None:
        with self.assertRaisesRegex(TypeError, "goes on a test method or class, got 3"):
            tag(layer="unit")(3)  # type: ignore[type-var]


class TestContextOfNoTest(unittest.TestCase):
    def test_summary_names_the_mode(self) -> None:
        self.assertIn("full_isolation", IsolationContext("t").summary())
