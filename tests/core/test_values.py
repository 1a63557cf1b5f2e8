import dataclasses
import json
import os
import unittest
from functools import partial
from unittest import mock

from supertester._core import seeds
from supertester._core.lazy import lazy_import
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe, unique_name
from supertester._core.origin import creation_line, here, is_foreign
from supertester._core.outcome import Outcome
from supertester.errors import UsageError


class TestMismatch(unittest.TestCase):
    def test_shows_its_history_numbered(self) -> None:
        found = Mismatch("'db' restarted 1 times, expected 2", history=["db (killed)", "web (linked)"])
        self.assertEqual(str(found), "'db' restarted 1 times, expected 2\n  1. db (killed)\n  2. web (linked)")

    def test_is_one_line_without_history(self) -> None:
        self.assertEqual(str(Mismatch("it is dead")), "it is dead")

    def test_is_a_value(self) -> None:
        history = ["a"]
        found = Mismatch("m", history)
        history.append("b")
        self.assertEqual(found, Mismatch("m", ["a"]))
        with self.assertRaises(dataclasses.FrozenInstanceError):
            found.message = "other"  # type: ignore[misc]

    def test_can_be_written_as_json(self) -> None:
        self.assertEqual(json.loads(json.dumps(Mismatch("m", [1]).to_dict())), {"message": "m", "history": ["1"]})


class TestOutcome(unittest.TestCase):
    def test_of_nothing_is_a_success(self) -> None:
        self.assertTrue(Outcome().ok)
        self.assertIsNone(Outcome().unwrap())

    def test_with_a_value_gives_it(self) -> None:
        self.assertEqual(Outcome(0).unwrap(), 0)

    def test_with_an_exception_raises_that_very_exception(self) -> None:
        error = KeyError("k")
        with self.assertRaises(KeyError) as caught:
            Outcome(error=error).unwrap()
        self.assertIs(caught.exception, error)

    def test_with_another_reason_names_it(self) -> None:
        with self.assertRaisesRegex(UsageError, "holds no value but the error 'noproc'") as caught:
            Outcome(error="noproc").unwrap()
        self.assertEqual(caught.exception.reason, "noproc")

    def test_cannot_be_both(self) -> None:
        with self.assertRaisesRegex(UsageError, "value=1 and error='e'"):
            Outcome(1, "e")

    def test_can_be_written_as_json(self) -> None:
        plain = Outcome({"a": [1, (2,)], "b": object}).to_dict()
        self.assertEqual(
            json.loads(json.dumps(plain)),
            {"ok": True, "value": {"a": [1, [2]], "b": "<class 'object'>"}, "error": None},
        )


class TestNames(unittest.TestCase):
    def test_are_never_given_twice(self) -> None:
        self.assertNotEqual(unique_name("a", "b"), unique_name("a", "b"))

    def test_are_words(self) -> None:
        self.assertRegex(unique_name("Counter[int]", "", "when: it crashes!"), r"^Counter_int_when_it_crashes_\d+$")

    def test_of_functions_are_their_qualified_names(self) -> None:
        self.assertEqual(describe(partial(partial(os.getcwd))), "getcwd")
        self.assertEqual(describe(3), "3")


class TestLazyImport(unittest.TestCase):
    def test_returns_the_module(self) -> None:
        self.assertIs(lazy_import("os", purpose="it"), os)

    def test_names_the_extra_to_install(self) -> None:
        with self.assertRaisesRegex(UsageError, r"The report needs the package 'no_such'.*'supertester\[report\]'"):
            lazy_import("no_such.table", purpose="The report", extra="report")

    def test_names_the_package_where_there_is_no_extra(self) -> None:
        with self.assertRaisesRegex(UsageError, r"pip install 'no_such'"):
            lazy_import("no_such", purpose="It")

    def test_leaves_a_failure_inside_of_the_package_alone(self) -> None:
        missing = ModuleNotFoundError("No module named 'other'", name="other")
        with (
            mock.patch("supertester._core.lazy.import_module", side_effect=missing),
            self.assertRaisesRegex(ModuleNotFoundError, "other"),
        ):
            lazy_import("present", purpose="It")


class TestSeeds(unittest.TestCase):
    def test_the_environment_sets_the_seed_of_the_run(self) -> None:
        with mock.patch.dict(os.environ, {seeds.VARIABLE: " 42 "}):
            self.assertEqual(seeds.run_seed(), 42)

    def test_without_one_it_is_drawn_once(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop(seeds.VARIABLE, None)
            self.assertEqual(seeds.run_seed(), seeds.run_seed())

    def test_nonsense_is_refused(self) -> None:
        for text in ("abc", "-1", "1.5"):
            with (
                self.subTest(text=text),
                mock.patch.dict(os.environ, {seeds.VARIABLE: text}),
                self.assertRaisesRegex(UsageError, f"must be an integer of 0 or more, got SUPERTESTER_SEED='{text}'"),
            ):
                seeds.run_seed()

    def test_the_seed_of_a_test_is_known_for_ever(self) -> None:
        self.assertEqual(seeds.derive_seed(1, "tests.test_bank.TestBank.test_transfer"), 188641506653436)


class TestOrigin(unittest.TestCase):
    def test_here_is_the_line_of_the_user(self) -> None:
        line = here()
        assert line is not None
        self.assertRegex(line, r"test_values\.py:\d+ in test_here_is_the_line_of_the_user$")

    def test_without_a_user_there_is_no_line(self) -> None:
        with mock.patch("supertester._core.origin.is_foreign", return_value=True):
            self.assertIsNone(here())

    def test_the_library_and_asyncio_are_foreign(self) -> None:
        self.assertTrue(is_foreign(seeds.__file__))
        self.assertFalse(is_foreign(__file__))

    def test_an_unknown_creator_is_replaced_by_the_definition(self) -> None:
        async def nothing() -> None: ...

        coroutine = nothing()
        self.assertRegex(creation_line(coroutine), r"^defined at .*test_values\.py:\d+ in nothing$")
        coroutine.close()
        self.assertEqual(creation_line(object()), "created at an unknown line")
