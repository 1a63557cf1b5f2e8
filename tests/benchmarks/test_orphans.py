"""The count of the processes that are left: right, and alarmed when there are some."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import unittest

import psutil

from benchmarks.__main__ import main
from benchmarks.orphans import Ended, ended, run_cell, summary


class TestOrphans(unittest.TestCase):
    def test_of_one_program(self) -> None:
        found = run_cell(("killed", "suspended"))
        self.assertEqual((found.cell, found.left), (("killed", "suspended"), ()))

    def test_one_that_is_left_is_counted_and_killed(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as orphan:
            found = ended(("killed", "busy"), [psutil.Process(orphan.pid)], 0)
        self.assertEqual((found.left, orphan.returncode), ((orphan.pid,), -9))

    def test_the_table(self) -> None:
        found = [Ended(("killed", "busy"), (7, 8), 1.5), Ended(("killed", "busy"), (), 0.1)]
        self.assertRegex(summary(found)[1], r"^killed +busy +2 +2 +1.500 s$")

    def test_nonsense(self) -> None:
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown), self.assertRaises(SystemExit):
            main(["orphans", "--rounds", "0"])
        self.assertIn("--rounds and --jobs are 1 or more", shown.getvalue())
