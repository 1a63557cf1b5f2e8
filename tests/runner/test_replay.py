"""`TestRunner`: programs that expect a runner of `unittest`; and exceptions that come back from a worker."""

from __future__ import annotations

import threading
import unittest

from supertester._core.packed_exceptions import pack, unpack
from tests.runner.suites import run_suite

FILES = {
    "test_program.py": """
        import os, unittest
        from supertester.runner import TestRunner

        class Result(unittest.TextTestResult):
            def addError(self, test, err):
                super().addError(test, err)
                print("error:", test.id(), err[0].__name__, err[2] is not None)
            def addSuccess(self, test):
                super().addSuccess(test)
                print("success:", test.id())

        class Runner(TestRunner):
            resultclass = Result
            jobs = 2
            history = None

        class TestProgram(unittest.TestCase):
            def test_passes(self): ...
            def test_fails(self): self.fail("no")
            def test_raises(self): 1 / 0
            def test_of_a_local_class(self):
                class Local(Exception): ...
                raise Local
            def test_dies(self): os._exit(3)
            @unittest.skip("why not")
            def test_skipped(self): ...
            @unittest.expectedFailure
            def test_expected(self): self.fail()
            def test_subtests(self):
                for i in range(2):
                    with self.subTest(i=i): self.assertEqual(i, 0)

        class TestBroken(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise OSError("no")
            def test_1(self): ...

        if __name__ == "__main__":
            unittest.main(testRunner=Runner, verbosity=0)
    """
}


class TestReplay(unittest.TestCase):
    def test_any_result_is_told_as_if_the_tests_ran_here(self) -> None:
        text = run_suite(FILES, module="test_program").text
        self.assertIn("FAILED (failures=2, errors=5, skipped=1, expected failures=1)", text)
        for line in (
            "success: __main__.TestProgram.test_passes",
            "error: __main__.TestProgram.test_raises ZeroDivisionError True",
            "error: __main__.TestProgram.test_of_a_local_class RemoteError False",
            "error: __main__.TestProgram.test_dies RemoteError False",
            "error: setUpClass (__main__.TestBroken) OSError True",
            "error: __main__.TestBroken.test_1 RemoteError False",
            "FAIL: test_subtests (__main__.TestProgram.test_subtests) (i=1)",
            "its worker process ended with exit status 3",
        ):
            self.assertIn(line, text)


class Two(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)
        self.two = two


class TestExceptions(unittest.TestCase):
    def test_come_back_with_cause_notes_and_traceback(self) -> None:
        try:
            try:
                raise KeyError("inner")
            except KeyError as inner:
                raise ValueError("outer") from inner
        except ValueError as error:
            error.add_note("a note")
            packed = pack(error)
        assert packed is not None
        back = unpack(packed)
        self.assertIsInstance(back, ValueError)
        assert back is not None
        self.assertEqual((back.args, back.__notes__), (("outer",), ["a note"]))
        self.assertEqual(repr(back.__cause__), "KeyError('inner')")
        assert back.__traceback__ is not None
        self.assertEqual(back.__traceback__.tb_frame.f_code.co_name, "test_come_back_with_cause_notes_and_traceback")

    def test_that_pickle_but_do_not_unpickle_are_found_out_here(self) -> None:
        self.assertIsNone(pack(Two(1, 2)))

    def test_that_do_not_pickle_are_found_out(self) -> None:
        self.assertIsNone(pack(ValueError(threading.Lock())))

    def test_a_chain_that_never_ends_is_cut(self) -> None:
        error, other = ValueError("a"), ValueError("b")
        error.__context__, other.__context__ = other, error
        self.assertIsNotNone(pack(error))
