import asyncio
import configparser
import os
import unittest
from collections import defaultdict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from tests.isolation.environment import settings
from tests.isolation.environment.support import report_of, side_by_side


class Wrapped:
    """Keeps its settings in another object, as those of Django do."""

    def __init__(self, **values: Any) -> None:
        self.__dict__["wrapped"] = dict(values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["wrapped"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.wrapped[name] = value

    def __delattr__(self, name: str) -> None:
        del self.wrapped[name]


class Slotted:
    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1


class Base:
    level = 1

    @classmethod
    def kind(cls) -> str:
        return cls.__name__

    @property
    def fixed(self) -> int:
        return 1


class Derived(Base):
    pass


class TestConfig(IsolatedTestCase, isolation="contamination_detection"):
    """In a mode whose tests run alone, because it overrides what everybody shares."""

    def check(self, target: Any, view: Callable[[Any], Any], expected: Any, /, **overrides: Any) -> None:
        before = view(target)
        with self.config(target, **overrides) as given:
            self.assertIs(given, target)
            self.assertEqual(view(target), expected)
        self.assertEqual(view(target), before)
        self.config(target, **overrides).restore()
        self.assertEqual(view(target), before)

    def test_of_a_dict_with_keys_that_were_absent(self) -> None:
        self.check({"a": 1, "b": 2}, lambda d: list(d.items()), [("a", 5), ("b", 2), ("c", 3)], a=5, c=3)

    def test_of_a_dict_with_defaults(self) -> None:
        self.check(defaultdict(list, {"a": [1]}), dict, {"a": 0, "b": 2}, a=0, b=2)

    def test_of_a_dict_from_which_the_block_removes_a_key(self) -> None:
        table = {"a": 1, "b": 2}
        with self.config(table, a=5, c=6):
            table.clear()
        self.assertEqual(table, {"a": 1})

    def test_of_environment_variables(self) -> None:
        os.environ["SUPERTESTER_TESTS_A"] = "1"
        names = "SUPERTESTER_TESTS_A", "SUPERTESTER_TESTS_B"
        self.check(
            os.environ,
            lambda e: [e.get(name) for name in names],
            [None, "2"],
            SUPERTESTER_TESTS_A=None,
            SUPERTESTER_TESTS_B="2",
        )

    def test_of_a_module(self) -> None:
        self.check(settings, lambda m: (m.RETRIES, m.LAZY), (0, "eager"), RETRIES=0, LAZY="eager")

    def test_of_what_a_module_computes(self) -> None:
        with self.config(settings, LAZY="eager"):
            self.assertEqual(settings.LAZY, "eager")
        self.assertNotIn("LAZY", vars(settings))
        self.assertEqual(settings.LAZY, "computed")

    def test_of_an_attribute_that_the_block_deletes(self) -> None:
        base = Base()
        with self.config(base, create=True, level=2, other=3):
            del base.level, base.other
        self.assertEqual((vars(base), base.level), ({}, 1))

    def test_of_a_section_of_a_configuration_file(self) -> None:
        parser = configparser.ConfigParser()
        parser.read_string("[db]\nhost = here\n")
        self.check(
            parser["db"],
            lambda section: list(section.items()),
            [("host", "there"), ("port", "1")],
            host="there",
            port="1",
        )

    def test_of_objects(self) -> None:
        self.check(Slotted(), lambda each: each.size, 2, size=2)
        self.check(Wrapped(DEBUG=False), lambda each: each.DEBUG, True, DEBUG=True)

    def test_of_what_an_object_has_from_its_class(self) -> None:
        self.check(Base(), lambda each: (each.level, "level" in vars(each)), (2, True), level=2)
        self.check(Derived, lambda each: (each.level, "level" in vars(each)), (2, True), level=2)
        kind = vars(Base)["kind"]
        self.check(Base, lambda each: each.kind(), "other", kind=lambda: "other")
        self.assertIs(vars(Base)["kind"], kind)

    def test_of_attributes_that_are_to_be_made(self) -> None:
        with self.config(settings, create=True, NEW=1):
            self.assertEqual(settings.NEW, 1)
        self.assertFalse(hasattr(settings, "NEW"))

    def test_within_another(self) -> None:
        with self.config(settings, RETRIES=0):
            with self.config(settings, RETRIES=7, TIMEOUT=None):
                self.assertEqual((settings.RETRIES, settings.TIMEOUT), (7, None))
            self.assertEqual((settings.RETRIES, settings.TIMEOUT), (0, 1.5))
        self.assertEqual(settings.RETRIES, 3)

    async def test_in_a_block_that_fails(self) -> None:
        with self.assertRaises(ZeroDivisionError), self.config(settings, RETRIES=0):
            await asyncio.sleep(0)
            1 / 0  # noqa: B018
        self.assertEqual(settings.RETRIES, 3)

    def test_up_to_the_end_of_the_test_newest_first(self) -> None:
        table: dict[str, Any] = {}
        kept: list[Any] = []

        def body(case: Any) -> None:
            case.config(table, a=1)
            case.config(table, a=2, b=2)
            case.config(settings, RETRIES=0)
            os.environ["SUPERTESTER_TESTS_A"] = "own"
            kept.append(case.config(os.environ, SUPERTESTER_TESTS_A="x"))
            summary = case.isolation.summary()
            case.assertIn(f"    config of module {settings.__name__!r}: RETRIES", summary)
            case.assertIn("    config of a dict with 2 keys: a, b", summary)
            case.assertIn("    config of os.environ: SUPERTESTER_TESTS_A", summary)
            case.fail("on purpose")

        self.assertIn("on purpose", report_of(body))
        self.assertEqual((table, settings.RETRIES), ({}, 3))
        kept[0].restore()
        self.assertNotIn("SUPERTESTER_TESTS_A", os.environ)

    def test_of_an_unknown_attribute_is_refused_with_the_nearest_names(self) -> None:
        message = (
            f"module '{settings.__name__}' has no attribute 'RETRIS' to override; did you mean 'RETRIES'[?] "
            "pass create=True to make a new one"
        )
        with self.assertRaisesRegex(UsageError, message):
            self.config(settings, TIMEOUT=2, RETRIS=0)
        self.assertEqual(settings.TIMEOUT, 1.5)
        with self.assertRaisesRegex(UsageError, "an object of .*Base has no attribute 'zzz' to override; pass create"):
            self.config(Base(), zzz=1)

    def test_of_what_cannot_be_changed_is_refused(self) -> None:
        for target, message in (
            (MappingProxyType({}), "config.. cannot change a mapping that is read-only, a mappingproxy"),
            ("settings", "config.. takes a mutable mapping, a module or an object with attributes, got 'settings'"),
            (None, "takes a mutable mapping, a module or an object with attributes, got None"),
            (configparser.ConfigParser(), r"cannot override a whole ConfigParser; pass one section"),
        ):
            with self.subTest(target), self.assertRaisesRegex(TypeError, message):
                self.config(target, a=1)
        with self.assertRaisesRegex(UsageError, "config.. needs values to override in a dict with 0 keys, e.g. "):
            self.config({})

    def test_takes_everything_back_when_one_value_is_refused(self) -> None:
        base = Base()
        with self.assertRaisesRegex(TypeError, "config.. cannot set 'fixed' on an object of .*Base: "):
            self.config(base, level=2, fixed=3)
        self.assertEqual(vars(base), {})
        refusal = "cannot set 'SUPERTESTER_TESTS_B' to 2 in os.environ: str expected, not int"
        with self.assertRaisesRegex(TypeError, refusal):
            self.config(os.environ, SUPERTESTER_TESTS_A="1", SUPERTESTER_TESTS_B=2)
        self.assertNotIn("SUPERTESTER_TESTS_A", os.environ)


class TestConfigSideBySide(unittest.TestCase):
    def test_of_what_is_shared_is_refused(self) -> None:
        def one(case: Any, meet: Callable[[], object]) -> None:
            with case.config(os.environ, SUPERTESTER_TESTS_A="one"):
                meet()
                case.assertEqual(os.environ["SUPERTESTER_TESTS_A"], "one")
                meet()

        def two(case: Any, meet: Callable[[], object]) -> None:
            meet()
            case.assertNotIn("SUPERTESTER_TESTS_A", os.environ)
            message = (
                rf"config\(module '{settings.__name__}', RETRIES\) would change module '{settings.__name__}' for the "
                r"whole process, in which test '.*' runs too; pass the configuration to the code under test, or let "
                "this test run alone, with isolation='contamination_detection'"
            )
            with case.assertRaisesRegex(UsageError, message):
                case.config(settings, RETRIES=0)
            case.assertEqual(settings.RETRIES, 3)
            meet()

        self.assertEqual(side_by_side(one, two), ["", ""])

    def test_of_a_mirrored_table_is_seen_in_its_test_only(self) -> None:
        def body(rows: int) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                case.tables.mirror(f"{settings.__name__}:LIMITS", include_data=True)
                with case.config(settings.LIMITS, rows=rows):
                    meet()
                    case.assertEqual(settings.LIMITS["rows"], rows)
                    meet()
                case.assertEqual(settings.LIMITS["rows"], 10)
                case.config(settings.LIMITS, rows=rows)

            return test

        self.assertEqual(side_by_side(body(1), body(2)), ["", ""])
        self.assertEqual(settings.LIMITS, {"rows": 10})

    def test_after_the_end_of_the_test_is_refused(self) -> None:
        kept: list[Any] = []
        report_of(lambda case: kept.append(case.environment))
        with self.assertRaisesRegex(UsageError, "has ended, and its environment with it"):
            kept[0].config({}, a=1)
        with self.assertRaisesRegex(UsageError, "has ended, and its environment with it"):
            _ = kept[0].tmp_path
