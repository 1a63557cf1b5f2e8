import copy
import os
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable
from os import environ
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.isolation import isolate, uninstall
from supertester.testing import inner_case, run_inner
from tests.isolation.environment.support import PATIENCE, report_of, side_by_side

NAME = "SUPERTESTER_TESTS_VARIABLE"


class TestVariables(unittest.TestCase):
    def test_what_a_test_sets_nobody_else_sees(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            os.environ[NAME] = "mine"
            seen.append((environ[NAME], os.getenv(NAME), os.getenvb(NAME.encode()), os.environb[NAME.encode()]))
            seen.append((NAME in os.environ, NAME in dict(os.environ), NAME in environ.copy()))
            thread = threading.Thread(target=lambda: seen.append(os.environ.get(NAME)))
            thread.start()
            thread.join()

        self.assertEqual(report_of(body), "")
        self.assertEqual(seen, [("mine", "mine", b"mine", b"mine"), (True, True, True), "mine"])
        self.assertNotIn(NAME, os.environ)
        self.assertNotIn(NAME.encode(), os.environb)

    def test_two_at_once_each_see_their_own(self) -> None:
        seen: dict[str, Any] = {}

        def body(value: str) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                case.assertNotIn(NAME, os.environ)
                meet()
                os.environ[NAME] = value
                meet()
                seen[value] = os.environ[NAME]
                meet()
                del os.environ[NAME]
                os.environ.clear()
                meet()
                case.assertEqual(len(os.environ), 0)

            return test

        self.assertEqual(side_by_side(body("one"), body("two")), ["", ""])
        self.assertEqual(seen, {"one": "one", "two": "two"})
        self.assertIn("PATH", os.environ)

    def test_a_test_sees_the_process_until_it_changes_something(self) -> None:
        seen: list[Any] = []

        def body(case: Any) -> None:
            seen.append(os.environ[NAME])
            os.environ["OTHER"] = "1"
            seen.append(os.environ[NAME])
            del os.environ[NAME]
            seen.append(os.environ.get(NAME))

        with mock.patch.dict(os.environ, {NAME: "of the process"}):
            self.assertEqual(report_of(body), "")
            self.assertEqual(os.environ[NAME], "of the process")
        self.assertEqual(seen, ["of the process", "of the process", None])

    def test_threads_of_a_test_that_change_it_first_lose_nothing(self) -> None:
        names = [f"{NAME}_{number}" for number in range(8)]

        def body(case: Any) -> None:
            barrier = threading.Barrier(len(names))

            def change(name: str) -> None:
                barrier.wait(PATIENCE)
                os.environ[name] = "1"

            threads = [threading.Thread(target=change, args=(name,)) for name in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            case.assertTrue(os.environ.keys() >= set(names))

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self.addCleanup(sys.setswitchinterval, interval)
        for _ in range(20):
            self.assertEqual(report_of(body), "")

    def test_patches_of_mock_end_with_their_block(self) -> None:
        def body(case: Any) -> None:
            with mock.patch.dict(os.environ, {NAME: "patched"}, clear=True):
                case.assertEqual(dict(os.environ), {NAME: "patched"})
            case.assertNotIn(NAME, os.environ)
            case.assertIn("PATH", os.environ)
            case.assertEqual(case.environment.summary(), [])

        self.assertEqual(report_of(body), "")

    def test_a_test_within_a_test_sees_the_variables_of_the_outer_one(self) -> None:
        async def body(case: Any) -> None:
            os.environ[NAME] = "outer"
            async with isolate("full_isolation"):
                case.assertEqual(os.environ[NAME], "outer")
                os.environ[NAME] = "inner"
            async with isolate("basic"):
                case.assertEqual(os.environ[NAME], "outer")
            case.assertEqual(os.environ[NAME], "outer")

        self.assertEqual(report_of(body), "")

    def test_where_the_feature_is_off_the_process_changes(self) -> None:
        def body(case: Any) -> None:
            os.environ[NAME] = "for all"

        self.addCleanup(os.environ.pop, NAME, None)
        self.assertEqual(report_of(body, isolation="basic"), "")
        self.assertEqual(os.environ.pop(NAME), "for all")
        self.assertEqual(report_of(body, environment=False), "")
        self.assertEqual(os.environ.pop(NAME), "for all")
        self.assertEqual(report_of(body, isolation="basic", environment=True), "")
        self.assertNotIn(NAME, os.environ)

    def test_refuses_other_settings(self) -> None:
        message = r"the option environment must be True or False, got environment=\['HOME'\]"
        with self.assertRaisesRegex(TypeError, message):
            report_of(lambda case: None, environment=["HOME"])

    def test_a_change_of_the_temporary_folder_is_not_remembered_by_others(self) -> None:
        before = tempfile.gettempdir()

        def body(case: Any) -> None:
            os.environ["TMPDIR"] = str(case.tmp_path)
            case.assertEqual(tempfile.gettempdir(), before)

        with mock.patch.object(tempfile, "tempdir", None):
            self.assertEqual(report_of(body), "")
            self.assertEqual(tempfile.gettempdir(), before)

    def test_uninstall_puts_back_the_class(self) -> None:
        uninstall()
        genuine = type(os.environ)
        self.assertIs(genuine, os._Environ)
        run_inner(inner_case(lambda case: None))
        self.assertIsNot(type(os.environ), genuine)
        self.assertIsNot(type(os.environb), genuine)
        uninstall()
        self.assertIs(type(os.environ), genuine)
        self.assertIs(type(os.environb), genuine)

    def test_the_seed_to_replay_with_is_that_of_the_process(self) -> None:
        def body(case: Any) -> None:
            os.environ.clear()
            os.environ["SUPERTESTER_SEED"] = "5"
            case.fail("on purpose")

        with mock.patch.dict(os.environ, {"SUPERTESTER_SEED": "7341"}):
            self.assertIn("SUPERTESTER_SEED=7341 ", report_of(body))

    def test_the_summary_names_what_was_changed(self) -> None:
        def body(case: Any) -> None:
            case.assertNotIn("feature environment", case.isolation.summary())
            os.environ[NAME] = "1"
            case.assertIn(f"    variables {NAME}", case.isolation.summary().splitlines())

        self.assertEqual(report_of(body), "")


class Semantics:
    """What holds of ``os.environ``, in an isolated test as outside."""

    def setUp(self: Any) -> None:
        super().setUp()  # type: ignore[misc]
        self.enterContext(mock.patch.dict(os.environ, {NAME: "one"}))
        self.assertEqual(os.environ[NAME], "one")

    def test_missing_names(self: Any) -> None:
        for call in (os.environ.__getitem__, os.environ.__delitem__, os.environ.pop):
            with self.assertRaises(KeyError) as caught:
                call("NO_SUCH_NAME")
            self.assertEqual(caught.exception.args, ("NO_SUCH_NAME",))
        self.assertIsNone(os.environ.get("NO_SUCH_NAME"))
        self.assertEqual(os.getenv("NO_SUCH_NAME", "default"), "default")
        self.assertEqual(os.environ.pop("NO_SUCH_NAME", "default"), "default")

    def test_wrong_types(self: Any) -> None:
        for name, value in ((NAME, 1), (1, "x"), (b"x", "x"), (NAME, None)):
            with self.assertRaisesRegex(TypeError, "str expected, not "):
                os.environ[name] = value  # type: ignore[index, assignment]
        with self.assertRaisesRegex(TypeError, "bytes expected, not str"):
            os.environb[NAME] = b"x"  # type: ignore[index]
        with self.assertRaisesRegex(TypeError, "str expected, not bytes"):
            os.environ[b"x"]  # type: ignore[index]
        self.assertEqual(os.environ[NAME], "one")

    def test_what_the_system_refuses(self: Any) -> None:
        for name, value in (("A\0", ""), ("A", "\0"), ("\0=", "")):
            with self.assertRaisesRegex(ValueError, "embedded null byte"):
                os.environ[name] = value
        with self.assertRaisesRegex(ValueError, "illegal environment variable name"):
            os.environ["A=B"] = "x"
        with self.assertRaisesRegex(OSError, r"\[Errno 22\] Invalid argument"):
            os.environ[""] = "x"
        for name in ("", "A=B"):
            with self.assertRaisesRegex(OSError, r"\[Errno 22\] Invalid argument"):
                del os.environ[name]
        with self.assertRaisesRegex(ValueError, "embedded null byte"):
            del os.environ["A\0"]

    def test_encodings(self: Any) -> None:
        os.environ[NAME] = "gr\u00fcn \udcff"
        self.assertEqual(os.environb[NAME.encode()], os.fsencode("gr\u00fcn \udcff"))
        os.environb[NAME.encode()] = b"\xfe"
        self.assertEqual(os.environ[NAME], "\udcfe")
        with self.assertRaises(UnicodeEncodeError):
            os.environ[NAME] = "\ud800"

    def test_a_mapping(self: Any) -> None:
        names = list(os.environ)
        self.assertEqual(len(os.environ), len(names))
        self.assertEqual(dict(os.environ), {name: os.environ[name] for name in names})
        self.assertEqual(os.environ, dict(os.environ))
        self.assertIsInstance(os.environ, os._Environ)
        self.assertTrue(repr(os.environ).startswith("environ({"))
        self.assertIn(f"{NAME!r}: 'one'", repr(os.environ))
        self.assertEqual(os.environ.setdefault(NAME, "two"), "one")
        self.assertEqual(os.environ.setdefault(f"{NAME}_2", "two"), "two")
        self.assertEqual(os.environ.pop(f"{NAME}_2"), "two")

    def test_unions(self: Any) -> None:
        before = len(os.environ)
        self.assertEqual((os.environ | {NAME: "two"})[NAME], "two")
        self.assertEqual(({NAME: "two"} | os.environ)[NAME], "one")
        self.assertEqual(os.environ[NAME], "one")
        same = os.environ
        same |= {NAME: "two", f"{NAME}_2": "new"}
        self.assertIs(same, os.environ)
        self.assertEqual(os.environ[NAME], "two")
        self.assertEqual(len(os.environ), before + 1)
        with self.assertRaises(TypeError):
            os.environ | [("a", "b")]  # type: ignore[operator]

    def test_clearing(self: Any) -> None:
        with mock.patch.dict(os.environ):
            os.environ.clear()
            self.assertEqual(list(os.environ), [])
            self.assertEqual(repr(os.environ), "environ({})")
            with self.assertRaises(KeyError):
                os.environ.popitem()
        self.assertEqual(os.environ[NAME], "one")

    def test_copies(self: Any) -> None:
        self.assertIs(type(os.environ.copy()), dict)
        shallow, deep = copy.copy(os.environ), copy.deepcopy(os.environ)  # noqa: PLW1507 - it is what is tested
        os.environ[NAME] = "two"
        self.assertEqual(shallow[NAME], "two")
        self.assertEqual(deep[NAME], "one")


class TestSemanticsOutside(Semantics, unittest.TestCase):
    pass


class TestSemanticsInATest(Semantics, IsolatedTestCase):
    pass
