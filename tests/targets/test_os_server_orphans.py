"""No server in a process of its own outlives whoever started it, nor does anything that it has started."""

from __future__ import annotations

import subprocess
import sys
import unittest

from tests.targets.orphans import ROOT, family_of, left, run

PLANS = [
    ("raises", "busy"),
    ("exits", "waiting"),
    ("killed", "waiting"),
    ("killed", "busy"),
    ("killed", "suspended"),
]


class TestOrphans(unittest.TestCase):
    def test_there_are_none(self) -> None:
        programs = {plan: run(*plan, "tests.targets.os_server_orphans") for plan in PLANS}
        for plan, program in programs.items():
            with self.subTest(plan), program:
                family = family_of(program)
                program.wait(60)
                self.assertEqual(left(family), [])

    def test_nor_of_one_whose_parent_has_ended_before_it_looked(self) -> None:
        source = "import os; from supertester.targets.os_server.lifeline import end_with; "
        source += "pid = os.posix_spawn('/bin/true', ['true'], {}); os.waitpid(pid, 0); end_with(pid); print('here')"
        ended = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, check=False, text=True)
        self.assertEqual([ended.returncode, ended.stdout, ended.stderr], [1, "", ""])
