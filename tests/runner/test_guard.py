from __future__ import annotations

import unittest

from supertester.runner.guard import LayerGuard
from tests.runner.made import declared, outcome
from tests.runner.test_session import Project

STARTS = """
import asyncio, contextlib, multiprocessing, os, subprocess, sys, threading, unittest
from supertester import IsolatedTestCase, tag

def nothing(): pass
COMMAND = [sys.executable, "-c", ""]

class Starts:
    def test_popen(self): subprocess.run(COMMAND)
    def test_system(self): os.system("true")
    def test_fork(self):
        if os.fork() == 0: os._exit(0)
    def test_multiprocessing_fork(self): multiprocessing.get_context("fork").Process(target=nothing).start()
    def test_multiprocessing_spawn(self): multiprocessing.get_context("spawn").Process(target=nothing).start()
    def test_passes_over_it(self):
        with contextlib.suppress(Exception): subprocess.run(COMMAND)
    def test_in_a_thread(self):
        thread = threading.Thread(target=self.test_passes_over_it); thread.start(); thread.join()
    def test_nothing(self): pass

@tag(layer="unit")
class TestUnit(Starts, unittest.TestCase): pass

@tag(layer="unit")
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_exec(self): await asyncio.create_subprocess_exec(*COMMAND)

@tag(layer="unit")
class TestIsolated(IsolatedTestCase):
    async def test_exec(self): await asyncio.create_subprocess_exec(*COMMAND)
    @tag(layer="component")
    def test_component(self): subprocess.run(COMMAND)

@tag(layer="system")
class TestSystem(unittest.TestCase):
    def test_popen(self): subprocess.run(COMMAND, check=True)
"""


class TestProcesses(Project):
    def outcomes(self, *arguments: str) -> dict[str, str]:
        self.write(test_a="", test_b="", test_c=STARTS)
        self.out = self.run_it("-v", *arguments, status=1)
        lines = [line for line in self.out.splitlines() if " ... " in line]
        return {line.split()[1].strip("()").split(".", 1)[1]: line.rpartition(" ... ")[2] for line in lines}

    def test_a_unit_test_that_starts_a_process_fails_at_that_line_however_it_does_so(self) -> None:
        found = self.outcomes()
        passed = {"TestUnit.test_nothing", "TestIsolated.test_component", "TestSystem.test_popen"}
        self.assertEqual({name for name, word in found.items() if word == "ok"}, passed)
        self.assertEqual(len(found), 12)
        self.assertIn("a unit test starts no process, and this one was about to: subprocess.Popen", self.out)
        self.assertIn("say @tag(layer='component') or 'system'", self.out)
        self.assertIn(
            "in test_popen\n    def test_popen(self): subprocess.run(COMMAND)", self.out.replace(", line 9,", "")
        )

    def test_so_it_does_in_the_process_of_the_runner_itself(self) -> None:
        found = self.outcomes(
            "-j", "0", "-k", "TestUnit.test_popen", "-k", "TestUnit.test_passes_over_it", "-k", "TestSystem"
        )
        self.assertEqual(sorted(found.values()), ["FAIL", "FAIL", "ok"])
        self.assertIn("a unit test starts no process, and this one tried to and went on: subprocess.Popen", self.out)


BESIDE = """
import subprocess, sys, threading
from supertester import IsolatedTestCase, tag
both = threading.Barrier(2)
class TestA(IsolatedTestCase):
    @tag(layer="unit")
    def test_unit(self):
        both.wait(30)
        both.wait(30)
class TestB(IsolatedTestCase):
    @tag(layer="component")
    def test_component(self):
        both.wait(30)
        subprocess.run([sys.executable, "-c", ""], check=True)
        both.wait(30)
"""


class TestBesideEachOther(Project):
    def test_a_test_of_another_layer_may_start_a_process_while_a_unit_test_runs(self) -> None:
        self.write(test_a="", test_b="", test_c=BESIDE)
        self.assertIn("Ran 2 tests", self.run_it("--threads", "2", "--layer-limit", "unit=none"))


class TestTime(unittest.TestCase):
    def ended(self, layer: str | None, seconds: float, kind: str = "passed", **limits: float | None) -> str:
        tags = {"layer": layer} if layer else {}
        guard = LayerGuard(limits)
        test = declared("tests.test_a.TestA.test_x", tags=tags)
        guard.begin(test)
        found = guard.end(outcome(test.test_id, kind, declared=test, duration=seconds))
        return found.outcome if not found.problems else found.problems[0].message

    def test_a_test_takes_no_longer_than_its_layer_allows(self) -> None:
        self.assertEqual(
            self.ended("unit", 1.3),
            "a test of the layer 'unit' may take 1 s, and this one took 1.30 s; make it faster, put it into another "
            "layer, or allow more with --layer-limit unit=SECONDS",
        )
        self.assertIn("'component' may take 10 s", self.ended("component", 11.0))
        self.assertIn("'system' may take 60 s", self.ended("system", 61.0))

    def test_what_is_fast_enough_or_has_no_limit_passes(self) -> None:
        for layer, seconds in (("unit", 0.9), ("system", 59.0), ("stress", 9e9), (None, 9e9)):
            self.assertEqual(self.ended(layer, seconds), "passed")

    def test_limits_can_be_set(self) -> None:
        self.assertEqual(self.ended("unit", 1.3, unit=2.0), "passed")
        self.assertEqual(self.ended("unit", 1.3, unit=None), "passed")
        self.assertIn("may take 0.1 s", self.ended("unit", 0.3, unit=0.1))

    def test_a_test_that_failed_has_failed_for_its_own_reason(self) -> None:
        self.assertEqual(self.ended("unit", 9.0, "error"), "error")


class TestTimeOnTheCommandLine(Project):
    def test_limits_are_given_by_layer(self) -> None:
        self.write(
            test_a="",
            test_b="import unittest\n__tags__ = {'layer': 'system'}\n"
            "class T(unittest.TestCase):\n  def test(self): pass\n",
        )
        self.assertIn("may take 1e-07 s, and this one took ", self.run_it("--layer-limit", "system=1e-7", status=1))
        self.run_it("--layer-limit", "unit=1e-7", "--layer-limit", "system=none")
        self.assertIn(
            "there is no layer 'sistem'; did you mean 'system'?", self.run_it("--layer-limit", "sistem=1", status=2)
        )
