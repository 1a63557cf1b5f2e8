from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.counted import Counts
from tests.project.support import ROOT, Planted

MIXED = """
import unittest

class Mixed(unittest.TestCase):
    def test_passes(self): self.assertTrue(True)
    def test_fails(self): self.fail("planted")
    def test_breaks(self): raise RuntimeError("planted")
    def test_skips(self): self.skipTest("planted")
    @unittest.expectedFailure
    def test_fails_as_expected(self): self.fail("planted")
    @unittest.expectedFailure
    def test_passes_unexpectedly(self): self.assertTrue(True)
    def test_three_parts_fail(self):
        for part in range(3):
            with self.subTest(part=part):
                self.fail("planted")

class NoSetUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("planted")
    def test_never_runs(self): self.fail("planted")
"""
PASSING = "import unittest\nclass One(unittest.TestCase):\n    def test(self): self.assertTrue(True)\n"
LEAVING = """
import unittest

class Broken:
    def __del__(self): raise RuntimeError("planted")

class Leaves(unittest.TestCase):
    def test(self):
        Broken()
        self.assertTrue(True)
"""


class TestCounted(Planted):
    def run_it(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "tests" / "counted.py"), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_report_is_counted(self) -> None:
        """Expected failures are skipped there, and a test that was lost with its class has failed."""
        (self.folder / "test_planted.py").write_text(MIXED)
        done = subprocess.run(
            [sys.executable, "-m", "supertester", "discover", "-j2", "--junit", "report.xml"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.run_it("--junit", "report.xml", "--counts", "counts.json").returncode, 1)
        counts = Counts(**json.loads((self.folder / "counts.json").read_text()))
        self.assertEqual(counts, Counts(passed=1, failed=6, skipped=2))

    def counts(self, source: str, *, status: int) -> Counts:
        (self.folder / "test_planted.py").write_text(source)
        done = self.run_it("--counts", "counts/planted.json", "discover")
        self.assertEqual(done.returncode, status, done.stderr)
        return Counts(**json.loads((self.folder / "counts" / "planted.json").read_text()))

    def test_each_test_is_counted_once(self) -> None:
        self.assertEqual(self.counts(MIXED, status=1), Counts(passed=2, failed=5, skipped=1))

    def test_a_passing_run_succeeds(self) -> None:
        self.assertEqual(self.counts(PASSING, status=0), Counts(passed=1))

    def test_a_run_of_no_test_fails(self) -> None:
        self.assertEqual(self.counts("", status=1), Counts())

    def test_a_run_that_only_skips_fails(self) -> None:
        self.assertEqual(self.counts("import unittest\nraise unittest.SkipTest('planted')", status=1).passed, 0)

    def test_an_exception_left_behind_in_a_finaliser_fails(self) -> None:
        self.assertEqual(self.counts(LEAVING, status=1), Counts(passed=1, failed=1))

    def test_the_sum_ends_with_a_line_alone(self) -> None:
        (self.folder / "a.json").write_text('{"passed": 2, "failed": 0, "skipped": 1}')
        (self.folder / "b.json").write_text('{"passed": 3, "failed": 0, "skipped": 0}')
        done = self.run_it("--sum", ".")
        self.assertEqual(done.stdout.splitlines()[-1], "5 passed, 0 failed, 1 skipped")
        self.assertEqual(done.returncode, 0)

    def test_the_sum_of_a_failure_fails(self) -> None:
        (self.folder / "a.json").write_text('{"passed": 2, "failed": 1, "skipped": 0}')
        done = self.run_it("--sum", ".")
        self.assertEqual((done.stdout.splitlines()[-1], done.returncode), ("2 passed, 1 failed", 1))

    def test_the_sum_of_nothing_fails(self) -> None:
        done = self.run_it("--sum", ".")
        self.assertEqual((done.stdout, done.returncode), ("0 passed, 0 failed\n", 1))

    def test_a_failed_check_that_is_no_test_is_never_summed_up_as_no_failure(self) -> None:
        (self.folder / "a.json").write_text('{"passed": 2, "failed": 0, "skipped": 0}')
        done = self.run_it("--sum", ".", "--status", "1")
        self.assertEqual((done.stdout.splitlines()[-1], done.returncode), ("2 passed, 1 failed", 1))
