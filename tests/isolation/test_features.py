import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase, tag
from supertester.context import IsolationContext
from supertester.errors import UsageError
from supertester.isolation.features import FEATURES, Feature
from supertester.testing import inner_case, run_inner


class TestFeatures(unittest.TestCase):
    """With two features of its own: "lamp", which is on in full isolation, and "heater", which is on from the start."""

    def setUp(self) -> None:
        self.log: list[str] = []

        @contextmanager
        def lamp(context: IsolationContext, setting: Any) -> Iterator[str]:
            self.log.append(f"lamp on {setting}")
            yield "light"
            self.log.append("lamp off")

        @contextmanager
        def heater(context: IsolationContext, setting: Any) -> Iterator[str]:
            self.log.append("heater on")
            try:
                yield "heat"
            finally:
                self.log.append("heater off")

        modes = frozenset({"full_isolation"})
        added = {
            "lamp": Feature(name="lamp", enter=lamp, modes=modes, tags=frozenset({"colour"})),
            "heater": Feature(name="heater", enter=heater, modes=modes, early=True),
        }
        self.enterContext(mock.patch.dict(FEATURES, added))

    def run_test(self, body: Any, **options: Any) -> str:
        return run_inner(inner_case(body, **options)).report

    def test_are_entered_when_asked_for_and_left_at_the_end(self) -> None:
        async def body(case: Any) -> None:
            self.log.append("body")
            case.assertEqual(case.isolation.feature("lamp"), "light")
            case.assertEqual(case.isolation.feature("lamp"), "light")
            case.isolation.add_cleanup(self.log.append, "cleanup")

        self.assertEqual(self.run_test(body), "")
        self.assertEqual(self.log, ["heater on", "body", "lamp on None", "cleanup", "lamp off", "heater off"])

    def test_can_be_switched_off(self) -> None:
        report = self.run_test(lambda case: case.isolation.feature("lamp"), lamp=False, heater=False)
        self.assertIn(
            "feature 'lamp' is off in mode 'full_isolation'; switch it on with the class keyword lamp=", report
        )
        self.assertEqual(self.log, [])

    def test_can_be_switched_on_in_a_lesser_mode_with_a_setting(self) -> None:
        report = self.run_test(lambda case: case.isolation.feature("lamp") and None, isolation="basic", lamp="dim")
        self.assertEqual((report, self.log), ("", ["lamp on dim", "lamp off"]))

    def test_unknown_ones_are_refused_naming_the_known_ones(self) -> None:
        report = self.run_test(lambda case: case.isolation.feature("lump"))
        self.assertIn("unknown isolation feature 'lump'; the known ones are contamination, logs, telemetry", report)

    def test_a_tag_of_one_that_is_off_is_refused_when_the_class_is_made(self) -> None:
        with self.assertRaisesRegex(UsageError, r"@tag\(colour=...\) on .*Red.test needs the option lamp"):

            class Red(IsolatedTestCase, isolation="basic"):
                @tag(colour="red")
                async def test(self) -> None: ...

    def test_a_tag_of_one_that_is_on_is_welcome(self) -> None:
        class Red(IsolatedTestCase):
            @tag(colour="red")
            async def test(self) -> None:
                self.assertEqual(self.isolation.tags["colour"], "red")

        self.assertEqual(run_inner(Red("test")).report, "")

    def test_one_that_a_tag_configures_is_entered_from_the_beginning(self) -> None:
        class Red(IsolatedTestCase):
            @tag(colour="red")
            async def test(self) -> None: ...

        self.assertEqual(run_inner(Red("test")).report, "")
        self.assertEqual(self.log, ["lamp on None", "heater on", "heater off", "lamp off"])

    def test_one_that_a_class_configures_is_entered_from_the_beginning(self) -> None:
        self.assertEqual(self.run_test(lambda case: self.log.append("body"), lamp="dim", heater=False), "")
        self.assertEqual(self.log, ["lamp on dim", "body", "lamp off"])

    def test_one_that_cannot_be_entered_fails_the_test(self) -> None:
        def broken(context: IsolationContext, setting: Any) -> Any:
            raise OSError("no heat")

        self.enterContext(mock.patch.dict(FEATURES, {"heater": Feature(name="heater", enter=broken, early=True)}))
        result = run_inner(inner_case(lambda case: self.log.append("body"), heater=True))
        self.assertEqual(result.kinds, ["start", "error", "stop"])
        self.assertIn("OSError: no heat", result.report)
        self.assertEqual(self.log, [])

    def test_one_that_cannot_be_left_fails_the_test(self) -> None:
        @contextmanager
        def sticky(context: IsolationContext, setting: Any) -> Iterator[None]:
            yield
            raise OSError("stuck")

        self.enterContext(mock.patch.dict(FEATURES, {"lamp": Feature(name="lamp", enter=sticky)}))
        report = self.run_test(lambda case: case.isolation.feature("lamp"), lamp=True)
        self.assertIn("OSError: stuck", report)
        self.assertIn("heater off", self.log)
