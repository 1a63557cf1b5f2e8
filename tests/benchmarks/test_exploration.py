"""Each promise about exploration is measured by a command that exists, and a promise that is not kept is seen."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import unittest
from typing import Any
from unittest import mock

from benchmarks import exploration
from benchmarks.__main__ import all_figures, chosen, main
from benchmarks.measure import Compared, Figure, Subject
from tests.alone import alone
from tests.performance.frugal import frugal


class TestPromises(unittest.TestCase):
    def test_are_measured_by_what_exists(self) -> None:
        figures = all_figures(None)
        for promise in exploration.PROMISES:
            module, *rest = promise.command
            self.assertIsNotNone(importlib.util.find_spec(module), promise)
            if module == "benchmarks" and rest[0] != "bugs":
                self.assertEqual(rest[0], "--strict")
                self.assertTrue(chosen(figures, rest[1:]))

    @alone("replaces functions of modules")
    def test_one_that_is_not_kept_is_named(self) -> None:
        def run(command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(command, int("bugs" in command))

        output = io.StringIO()
        with mock.patch.object(subprocess, "run", run), contextlib.redirect_stdout(output):
            self.assertEqual(exploration.main([]), 1)
        self.assertIn("MISSED  the known bugs are found\n", output.getvalue())
        self.assertEqual(output.getvalue().count("\nkept    "), len(exploration.PROMISES) - 1)

    @alone("replaces functions of modules")
    def test_strict_figures_end_with_1_if_they_miss_their_target(self) -> None:
        frugal(self)

        def figure(goal: float) -> Figure:
            slow = Subject(name="slow", run=lambda _: 2.0, units=1)
            fast = Subject(name="fast", run=lambda _: 1.0, units=1, goal=goal)
            return Figure(
                name="it", title="it", unit="it", reference="slow", compared=Compared.SPEED, subjects=[slow, fast]
            )

        for goal, status in ((1.5, 0), (3.0, 1)):
            figures = mock.Mock(return_value=[figure(goal)])
            with mock.patch("benchmarks.__main__.all_figures", figures), contextlib.redirect_stdout(io.StringIO()):
                once = ["it", "--rounds", "1"]
                self.assertEqual((main([*once, "--strict"]), main(once)), (status, 0))
