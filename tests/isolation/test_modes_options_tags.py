import sys
import types
import unittest
from typing import Any
from unittest import mock

from supertester._core.tags import module_tags, tag, tags_of
from supertester.case import IsolatedTestCase
from supertester.context import Isolation, IsolationContext
from supertester.errors import UsageError
from supertester.isolation import isolation_allows_async, isolation_timeout
from supertester.isolation.options import Options
from supertester.testing import run_inner


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
            ({"timeout": -1}, UsageError, "timeout must be more than 0 seconds, got timeout=-1; None means no limit"),
            ({"timeout": 0}, UsageError, "timeout must be more than 0 seconds, got timeout=0; None means no limit"),
            ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
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
    def test_a_tag_without_a_name_is_refused_with_what_to_write(self) -> None:
        for given, remedy in (
            ("slow", r"'slow'; write @tag\(slow=True\)"),
            ("a b", r"'a b'; write @tag\(layer=\"unit\"\)"),
        ):
            message = f"^a tag has a name and a value, got {remedy}$"
            with self.subTest(given), self.assertRaisesRegex(TypeError, message):
                tag(given)
        with self.assertRaisesRegex(TypeError, r"got <function .*test at .*>; write @tag\(layer=\"unit\"\)"):

            @tag
            def test(self: object) -> None: ...

    def test_tags_add_up(self) -> None:
        @tag(layer="unit")
        @tag(owner="me", layer="other")
        def test() -> None: ...

        self.assertEqual(tags_of(test), {"owner": "me", "layer": "unit"})

    def test_names_that_every_test_has_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "the tag 'file' is set for every test"):
            tag(file="x")

    def test_a_timeout_that_is_no_time_to_give_is_refused_with_the_value_and_the_remedy(self) -> None:
        for limit in (0, -1, -0.5, float("nan")):
            message = rf"more than 0 seconds, got {limit!r} in @tag\(timeout=...\) at {__file__}:\d+; timeout=None is"
            with self.subTest(limit), self.assertRaisesRegex(UsageError, message):
                tag(timeout=limit)
        for other in ("5s", True, [5]):
            with self.subTest(other), self.assertRaisesRegex(TypeError, r"a number of seconds, e.g. timeout=5, got "):
                tag(timeout=other)
        module = types.ModuleType("made_up_limits")
        module.__tags__ = {"timeout": -2}  # type: ignore[attr-defined]
        with (
            mock.patch.dict(sys.modules, {"made_up_limits": module}),
            self.assertRaisesRegex(UsageError, "got -2 in __tags__ of made_up_limits; timeout=None is for ever"),
        ):
            module_tags("made_up_limits")

    def test_a_timeout_is_seconds_or_for_ever(self) -> None:
        for limit in (1, 0.5, float("inf"), None):
            self.assertEqual(tags_of(tag(timeout=limit)(lambda: None)), {"timeout": limit})

    def test_goes_on_tests_and_classes_only(self) -> None:
        with self.assertRaisesRegex(TypeError, "goes on a test method or class, got 3"):
            tag(layer="unit")(3)  # type: ignore[type-var]

    def test_a_module_and_its_packages_tag_their_tests_and_the_nearest_wins(self) -> None:
        shop, till = types.ModuleType("made_up_shop"), types.ModuleType("made_up_shop.test_till")
        shop.__tags__ = {"layer": "component", "owner": "me"}  # type: ignore[attr-defined]
        till.__tags__ = {"layer": "unit"}  # type: ignore[attr-defined]
        modules = {"made_up_shop": shop, "made_up_shop.test_till": till}
        with mock.patch.dict(sys.modules, modules):
            self.assertEqual(module_tags("made_up_shop.test_till"), {"layer": "unit", "owner": "me"})
            self.assertEqual(module_tags("made_up_shop.test_other"), {"layer": "component", "owner": "me"})
            till.__tags__ = {"line": 3}  # type: ignore[attr-defined]
            with self.assertRaisesRegex(UsageError, "another name for __tags__ of made_up_shop.test_till"):
                module_tags("made_up_shop.test_till")
            till.__tags__ = "unit"  # type: ignore[attr-defined]
            with self.assertRaisesRegex(UsageError, "__tags__ of a module is a dictionary, got 'unit'"):
                module_tags("made_up_shop.test_till")

    def test_the_tags_of_its_module_are_those_of_a_test(self) -> None:
        class Inner(IsolatedTestCase):
            async def test(self) -> None:
                found.update(self.isolation.tags)

        found: dict[str, object] = {}
        module = types.ModuleType("made_up_module")
        module.__tags__ = {"layer": "unit"}  # type: ignore[attr-defined]
        Inner.__module__ = "made_up_module"
        with mock.patch.dict(sys.modules, {"made_up_module": module}):
            run_inner(Inner("test"))
        self.assertEqual(found["layer"], "unit")


class TestContextOfNoTest(unittest.TestCase):
    def test_summary_names_the_mode(self) -> None:
        self.assertIn("full_isolation", IsolationContext("t").summary())
