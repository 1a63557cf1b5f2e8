"""``@explore`` under pytest, in every isolation mode, and where a failure is expected."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import unittest
from importlib.util import find_spec

from supertester import IsolatedTestCase, explore
from supertester.testing import run_inner
from tests.alone import alone
from tests.project.support import ROOT, run_python
from tests.schedule.planted import lost_update

__tags__ = {"layer": "system"}

SCRIPT = """
import unittest
from supertester import IsolatedTestCase, explore
from tests.schedule.planted import correct, lost_update

class TestBank(IsolatedTestCase):
    @explore(schedules=200)
    async def test_broken(self):
        await lost_update()

    @unittest.expectedFailure
    @explore(schedules=200)
    async def test_known(self):
        await lost_update()

    @explore(schedules=20)
    async def test_correct(self):
        await correct()

    @explore(schedules=20)
    async def test_skipped(self):
        self.skipTest("not today")
"""


@unittest.skipUnless(find_spec("pytest"), "needs pytest")
class TestPytest(IsolatedTestCase):
    def test_it_explores_there_too(self) -> None:
        (self.tmp_path / "test_bank.py").write_text(SCRIPT)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_bank.py"],
            cwd=self.tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertIn("1 failed, 1 passed, 1 skipped, 1 xfailed", done.stdout)
        self.assertIn("this schedule of test_bank.TestBank.test_broken fails: AssertionError: ", done.stdout)
        self.assertIn("SUPERTESTER_REPLAY=s1.", done.stdout)
        saved = [path.name for path in (self.tmp_path / ".supertester" / "failures").iterdir()]
        self.assertEqual([name.rpartition("-")[0] for name in saved], ["test_bank.TestBank.test_broken"])


class TestModes(unittest.TestCase):
    def check(self, mode: str) -> None:
        class Inner(IsolatedTestCase, isolation=mode):
            @explore(schedules=20, seed=1, database=False)
            async def test_correct(self) -> None:
                await asyncio.gather(*(asyncio.sleep(number) for number in range(3)))

            @explore(schedules=200, seed=1, database=False)
            async def test_broken(self) -> None:
                await lost_update()

        result = run_inner(Inner)
        self.assertEqual((len(result.failures), result.errors, result.testsRun), (1, [], 2))
        self.assertIn("1 forced switch in", result.failures[0][1])

    def test_basic(self) -> None:
        self.check("basic")

    def test_registry(self) -> None:
        self.check("registry")

    def test_full_isolation(self) -> None:
        self.check("full_isolation")

    @alone("it compares the state of the process")
    def test_contamination_detection(self) -> None:
        self.check("contamination_detection")


class TestWhatIsInstalled(unittest.TestCase):
    def test_all_of_it_can_be_taken_out_after_an_exploration(self) -> None:
        code = """
import random, subprocess, sys, threading, time, unittest
def attributes():
    return [time.sleep, time.time, random.random, threading.Thread.start, subprocess.Popen.__init__]
before = attributes()
from supertester import IsolatedTestCase, explore, uninstall
class T(IsolatedTestCase):
    @explore(schedules=5, database=False)
    async def test(self): ...
result = unittest.TestResult()
T("test").run(result)
assert result.wasSuccessful(), result
uninstall()
assert attributes() == before, attributes()
"""
        run_python(code)
