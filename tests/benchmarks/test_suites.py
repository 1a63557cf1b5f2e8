"""The command that compares runs of others' suites finds differences, and none where there are none."""

from __future__ import annotations

import contextlib
import io
import unittest

from benchmarks.__main__ import main
from benchmarks.suites import HOWS, compare
from tests.runner.suites import PLAIN, folder_with
from tests.runner.test_drop_in import EVERYTHING

UNLIKE = {
    "test_unlike.py": """
        import sys, unittest

        class TestUnlike(unittest.TestCase):
            def test_passes(self): ...
            def test_asks_who_runs_it(self): self.assertNotIn("supertester", sys.modules)
    """
}


class TestCompare(unittest.TestCase):
    def test_all_outcomes_are_the_same(self) -> None:
        with folder_with({**PLAIN, **EVERYTHING}) as folder:
            for each in compare(folder, ["discover"]):
                with self.subTest(each.how):
                    self.assertEqual(each.differences, [])
                    self.assertGreater(each.ours.tests, 30)

    def test_a_test_that_is_unlike_is_named_with_both_outcomes(self) -> None:
        with folder_with(UNLIKE) as folder:
            (each,) = compare(folder, ["discover"], {"-j2": HOWS["-j2"]})
        name = "test_unlike.TestUnlike.test_asks_who_runs_it"
        self.assertEqual(each.differences, [f"unittest: {name} passed", f"-j2: {name} failed"])

    def test_a_run_that_tells_nothing_is_an_error(self) -> None:
        with folder_with({}) as folder, self.assertRaisesRegex(RuntimeError, "(?s)no outcomes.*not importable"):
            list(compare(folder, ["discover", "-s", "nowhere"]))

    def test_unknown_suites_are_refused(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
            main(["suites", "no-such-suite"])
        self.assertIn("there is no suite 'no-such-suite'; there are cachetools, markdown", said.getvalue())
