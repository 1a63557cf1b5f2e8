from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.project.support import ROOT
from tests.runner.junit_schema import check_junit

SUITE = {
    "shop.py": "PRICES = {'tea': 3}\n",
    "test_a.py": """
import unittest, shop
from supertester import tag
class TestA(unittest.TestCase):
    @tag(layer="unit")
    def test_clean(self): self.assertEqual(len(shop.PRICES), 1)
    def test_polluter(self): shop.PRICES['tea'] = 4
""",
    "test_b.py": """
import pathlib, unittest, shop
__tags__ = {"layer": "system"}
class TestB(unittest.TestCase):
    def test_another(self): pass
    def test_price(self): self.assertEqual(shop.PRICES['tea'], 3)
""",
}


class Project(unittest.TestCase):
    """A small project in a folder of its own, one of whose tests spoils another."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.write(**{name.removesuffix(".py"): source for name, source in SUITE.items()})

    def write(self, **sources: str) -> None:
        for name, source in sources.items():
            (self.folder / f"{name}.py").write_text(source)

    def run_it(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run ``python -m supertester`` and return what it printed, if it ends with *status*."""
        foreign = ("SUPERTESTER_", "COVERAGE_")  # The suite itself may be measured.
        ours = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "supertester", *arguments],
            cwd=self.folder,
            env={**ours, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr


class TestChoosingAndRepeating(Project):
    def test_layers_and_tags_choose_what_is_listed_and_run(self) -> None:
        self.assertEqual(
            self.run_it("--list", "--layer", "system").split(), ["test_b.TestB.test_another", "test_b.TestB.test_price"]
        )
        self.assertIn("Ran 1 test ", self.run_it("--layer", "unit"))
        self.assertIn(
            "Ran 2 tests ", self.run_it("--tag", "layer=unit or layer=system", "-k", "another", "-k", "clean")
        )

    def test_a_shard_is_a_part_of_what_was_chosen(self) -> None:
        parts = [self.run_it("--list", "--layer", "system", "--shard", f"{n}/2").split("\n")[0] for n in (1, 2)]
        self.assertEqual(sorted(parts), ["test_b.TestB.test_another", "test_b.TestB.test_price"])

    def test_a_layer_without_tests_is_an_error_of_usage(self) -> None:
        out = self.run_it("--layer", "stress", status=2)
        self.assertIn("error: no test is of the layer 'stress' (4 tests: 1 of unit, 2 of system, 1 of none)", out)

    def test_those_that_failed_are_remembered_and_run_again(self) -> None:
        self.assertIn("FAILED (failures=1)", self.run_it(status=1))
        self.assertIn("Ran 1 test ", self.run_it("--last-failed"))
        self.assertIn("there is no test that failed last time", self.run_it("--last-failed", status=2))
        out = self.run_it("--history", str(self.folder / "elsewhere"), status=1)
        self.assertTrue((self.folder / "elsewhere" / "outcomes.txt").exists(), out)

    def test_a_rerun_that_passes_makes_a_test_flaky(self) -> None:
        self.assertIn("FAILED (flaky=1)", self.run_it("--rerun-failed", "2", status=1))
        self.assertIn("OK (flaky=1)", self.run_it("--rerun-failed", "2", "--fail-on", "lost"))

    def test_rounds_until_one_fails(self) -> None:
        counting = """
import os, pathlib, unittest
class TestC(unittest.TestCase):
    def test_third(self):
        path = pathlib.Path("count"); path.write_text(path.read_text() + "x" if path.exists() else "x")
        self.assertLess(len(path.read_text()), 3)
"""
        self.write(test_c=counting)
        out = self.run_it("--until-fail", "test_c", status=1)
        self.assertIn("round 2 passed: 1 tests", out)
        self.assertEqual((self.folder / "count").read_text(), "xxx")

    def test_a_random_order_is_that_of_its_seed(self) -> None:
        first, again = (
            self.run_it("-v", "--shuffle=3", "--fail-on", "lost", "-k", "a", status=status) for status in self.fate()
        )
        order = [line.split()[0] for line in first.splitlines() if " ... " in line]
        self.assertEqual(order, [line.split()[0] for line in again.splitlines() if " ... " in line])
        self.assertIn("in random order: --shuffle=3", first)

    def fate(self) -> tuple[int, int]:
        self.write(test_b="")  # No test depends on another then.
        return 0, 0


class TestBisecting(Project):
    def test_the_polluter_is_named_with_what_it_changed(self) -> None:
        out = self.run_it("--bisect", "test_price")
        self.assertIn("test_b.TestB.test_price passes alone, and fails after\n    test_a.TestA.test_polluter\n", out)
        self.assertIn("changed before it: shop.PRICES['tea']: 3 -> 4", out)
        self.assertIn("see it again: python -m unittest test_a.TestA.test_polluter test_b.TestB.test_price", out)

    def test_a_test_without_which_another_fails_is_named_too(self) -> None:
        setter = """
import os, unittest
class TestC(unittest.TestCase):
    def test_a_opens(self): os.environ["SHOP"] = "open"
    def test_b_sells(self): self.assertEqual(os.environ.get("SHOP"), "open")
"""
        self.write(test_c=setter)
        out = self.run_it("--bisect", "test_b_sells")
        self.assertIn("test_c.TestC.test_b_sells fails alone, and passes after\n    test_c.TestC.test_a_opens\n", out)
        self.assertIn("changed before it: os.environ['SHOP']: absent -> 'open'", out)

    def test_a_test_that_does_not_depend_on_others_is_no_answer(self) -> None:
        self.assertIn("passed alone and after all the others", self.run_it("--bisect", "TestA.test_clean", status=1))
        self.assertIn("there is no test 'test_pryce'", self.run_it("--bisect", "test_pryce", status=2))


class TestReports(Project):
    def test_reports_are_written_into_folders_that_are_made(self) -> None:
        self.run_it("--junit", "out/junit.xml", "--html", "out/run.html", status=1)
        self.assertEqual(check_junit((self.folder / "out/junit.xml").read_text()), [])
        page = (self.folder / "out/run.html").read_text()
        self.assertIn("Failed: 1 failed.", page)
        self.assertIn("4 != 3", page)

    def test_a_report_that_cannot_be_written_is_said_before_anything_runs(self) -> None:
        out = self.run_it("--junit", ".", status=2)
        self.assertIn("no report can be written to ., which is a folder; name a file", out)
        out = self.run_it("--html", "shop.py/run.html", status=2)
        self.assertIn("no report can be written to shop.py/run.html", out)
        self.assertFalse((self.folder / ".supertester").exists())


class TestSettingsOfAProject(Project):
    def test_files_and_variables_set_what_the_command_line_does_not(self) -> None:
        (self.folder / "setup.cfg").write_text("[supertester]\nlayer = unit\njunit = junit.xml\n")
        self.assertIn("Ran 1 test ", self.run_it())
        self.assertTrue((self.folder / "junit.xml").exists())
        self.assertIn("Ran 2 tests ", self.run_it("--layer", "system"))
        self.assertIn("Ran 2 tests ", self.run_it(SUPERTESTER_LAYER="system"))

    def test_a_setting_that_is_unknown_names_the_one_that_was_meant(self) -> None:
        (self.folder / "pyproject.toml").write_text("[tool.supertester]\nreapeat = 3\n")
        out = self.run_it(status=2)
        self.assertIn("pyproject.toml [tool.supertester]: there is no setting 'reapeat'; did you mean 'repeat'?", out)


class TestCommands(Project):
    def test_lint_finds_sleeps(self) -> None:
        self.assertIn("no sleep in 3 files", self.run_it("lint", "--no-sleep", "."))
        self.write(test_c="import time\ntime.sleep(1)\n")
        self.assertIn("test_c.py:2: time.sleep(1) sleeps; wait for the condition", self.run_it("lint", ".", status=1))
        self.assertIn("lint: there is no file or folder 'nowhere'", self.run_it("lint", "nowhere", status=2))

    def plant_an_order(self) -> None:
        """Plant a test that passes only before another one, as it does in the order of their names."""
        self.write(test_a=SUITE["test_b.py"], test_b=SUITE["test_a.py"])

    def test_audit_finds_what_is_wrong_and_says_how_to_go_on(self) -> None:
        self.plant_an_order()
        arguments = ("-j", "1", "--runs", "2", "--seeds", "6", "--json", "audit.json")
        out = self.run_it("audit", ".", *arguments, status=1, SUPERTESTER_SEED="1")
        self.assertRegex(out, r"all pass in random orders +in 6 of 6 +in \d of 6 +FAILED")
        self.assertRegex(out, r"test_price fails with --shuffle=\d+: AssertionError: 4 != 3")
        self.assertIn('"tests": 4', (self.folder / "audit.json").read_text())

    def test_audit_finds_a_planted_sleep_a_planted_order_and_a_planted_flake(self) -> None:
        flaky = """
import pathlib, time, unittest
class TestC(unittest.TestCase):
    def test_every_third(self):
        path = pathlib.Path("count"); path.write_text((path.read_text() if path.exists() else "") + "x")
        self.assertNotEqual(len(path.read_text()), 3)
    def test_sleeps(self): time.sleep(0.001)
"""
        self.write(test_c=flaky)
        self.plant_an_order()
        out = self.run_it("audit", ".", "-j", "1", "--runs", "4", "--seeds", "6", status=1, SUPERTESTER_SEED="1")
        self.assertRegex(out, r"no test sleeps +0 sleeps +1 sleep +FAILED")
        self.assertRegex(out, r"all pass in random orders +in 6 of 6 +in \d of 6 +FAILED")
        self.assertRegex(out, r"no flaky test in 4 runs +0 flaky +1 flaky +FAILED")
        self.assertIn("test_c.TestC.test_every_third failed in 1 of 4 runs: AssertionError: 3 == 3", out)

    def test_audit_gives_the_layers_the_time_that_the_project_says(self) -> None:
        self.write(
            test_a="import unittest\n__tags__ = {'layer': 'unit'}\n"
            "class T(unittest.TestCase):\n    def test(self): sum(range(10**6))\n"
        )
        arguments = ("-j", "1", "--runs", "1", "--seeds", "1")
        out = self.run_it("audit", ".", *arguments, "--layer-limit", "unit=0.000001", status=1)
        self.assertIn("a test of the layer 'unit' may take 1e-06 s", out)
        (self.folder / "setup.cfg").write_text("[supertester:audit]\nlayer-limit = unit=100\n")
        self.assertNotIn("FAILED", self.run_it("audit", ".", *arguments))

    def test_audit_passes_a_suite_that_is_in_order_by_the_limits_of_the_project(self) -> None:
        self.write(test_a="import unittest\nclass T(unittest.TestCase):\n    def test(self): pass\n", test_b="")
        (self.folder / "setup.cfg").write_text("[supertester:audit]\nruns = 2\nseeds = 1\nquiet = yes\n")
        out = self.run_it("audit", ".")
        self.assertNotIn("FAILED", out)
        self.assertIn("no flaky test in 2 runs", out)
