from __future__ import annotations

import importlib.util
import unittest

from tests.runner.test_session import Project

SHOP = """
def sold():
    return "tea"

def bought():
    return "milk"

def nobody_calls():
    return None

def before_death():
    return 1
"""
TESTS = """
import os, signal, unittest, shop
class TestA(unittest.TestCase):
    def test_a_sold(self): self.assertEqual(shop.sold(), "tea")
    def test_b_dies(self):
        shop.before_death()
        os.kill(os.getpid(), signal.SIGKILL)
    def test_c_bought(self): self.assertEqual(shop.bought(), "milk")
"""


@unittest.skipUnless(importlib.util.find_spec("coverage"), "coverage is not installed")
class TestCoverage(Project):
    def setUp(self) -> None:
        super().setUp()
        self.write(shop=SHOP, test_a=TESTS, test_b="")
        (self.folder / "setup.cfg").write_text(
            "[coverage:run]\nsource = .\nomit = test_*\n[coverage:report]\nshow_missing = true\n"
        )

    def lines(self, out: str) -> list[str]:
        return next(line for line in out.splitlines() if line.startswith("shop.py")).split()

    def test_what_a_worker_measured_before_it_died_is_kept(self) -> None:
        out = self.run_it("--coverage", status=1)
        # Nobody called one function, and the test that died took its own lines along.
        self.assertEqual(self.lines(out)[-2:], ["9,", "12"], out)
        self.assertTrue((self.folder / ".coverage").exists())
        self.assertEqual([path.name for path in self.folder.glob(".coverage.*")], [])

    def test_workers_are_measured_together(self) -> None:
        out = self.run_it("--coverage", "-j", "2", "-k", "sold", "-k", "bought")
        self.assertEqual(self.lines(out)[-2:], ["9,", "12"], out)

    def test_so_are_those_that_are_fresh_interpreters(self) -> None:
        out = self.run_it("--coverage", "-j", "2", "--start-method", "spawn", status=1)
        self.assertEqual(self.lines(out)[-2:], ["9,", "12"], out)

    def test_so_is_the_process_of_the_runner(self) -> None:
        out = self.run_it("--coverage", "-j", "0", "-k", "sold")
        self.assertEqual(self.lines(out)[-3:], ["6,", "9,", "12"], out)

    def test_nothing_to_measure_is_said(self) -> None:
        (self.folder / "setup.cfg").write_text("[coverage:run]\ninclude = nowhere/*\n")
        self.assertIn("no coverage: ", self.run_it("--coverage", "-k", "sold"))
