from __future__ import annotations

import importlib.util
import io
import unittest
from typing import Any
from unittest import mock

from supertester.runner.outcomes import Running, RunReport, Silent
from supertester.runner.reports.live import LiveReport, can_be_live
from tests.alone import alone
from tests.runner.made import declared, outcome, report

__tags__ = {"layer": "unit"}

has_rich = importlib.util.find_spec("rich") is not None


class End(Silent):
    def __init__(self) -> None:
        self.report: RunReport | None = None

    def ended(self, report: RunReport) -> None:
        self.report = report


@alone("rich takes the place of the standard streams while it draws, and draws what others write there")
@unittest.skipUnless(has_rich, "rich is not installed")
class TestLive(unittest.TestCase):
    def setUp(self) -> None:
        from rich.console import Console

        self.out = io.StringIO()
        self.now = 0.0
        self.end = End()
        console = Console(file=self.out, force_terminal=True, width=100, color_system=None, legacy_windows=False)
        self.live = LiveReport(self.end, console=console, now=lambda: self.now)
        self.addCleanup(self.live._close)
        self.live.began([declared(f"tests.test_a.TestA.test_{n}") for n in range(4)], workers=2, seed=1)

    def shown(self) -> str:
        """Return what was drawn since the last look."""
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return text

    def later(self, seconds: float) -> None:
        self.now += seconds

    def test_it_shows_how_far_the_run_is_and_what_came_of_it(self) -> None:
        for kind in ("passed", "skipped"):
            self.later(5)
            self.live.finished(outcome("tests.test_a.TestA.test_0", kind))
        shown = self.shown()
        self.assertIn("2/4", shown)
        self.assertIn("1 passed", shown)
        self.assertIn("1 skipped", shown)
        self.assertIn("10 s, about 10 s left", shown)

    def test_what_failed_gets_a_line_that_stays_at_once(self) -> None:
        self.live.finished(outcome("tests.test_a.TestA.test_0", "failed", message="AssertionError: [b]1 != 2"))
        shown = self.shown()
        self.assertIn("FAILED: tests.test_a.TestA.test_0", shown)
        self.assertIn("AssertionError: [b]1 != 2", shown)

    def test_what_has_been_running_for_long_is_named(self) -> None:
        self.later(20)
        running = [Running(test_id="tests.test_a.TestA.test_slow", worker=1, seconds=12.0)]
        running += [Running(test_id="tests.test_a.TestA.test_quick", worker=2, seconds=0.2)]
        self.live.running(running)
        shown = self.shown()
        self.assertIn("12 s  tests.test_a.TestA.test_slow", shown)
        self.assertNotIn("test_quick", shown)

    def test_it_is_not_drawn_more_often_than_anybody_can_see(self) -> None:
        self.later(1)
        self.live.finished(outcome("a"))
        self.shown()
        for _ in range(50):
            self.live.finished(outcome("a"))
        self.assertEqual(self.shown(), "")

    def test_another_round_adds_to_the_number_of_tests(self) -> None:
        self.live.began([declared("a"), declared("b")], workers=2, seed=1)
        self.later(1)
        self.live.finished(outcome("a"))
        self.assertIn("1/6", self.shown())

    def test_output_and_notes_stand_above_it(self) -> None:
        self.live.finished(outcome("a", output="printed [i]\n"))
        self.live.noted("worker 2 died")
        shown = self.shown()
        self.assertIn("printed [i]", shown)
        self.assertIn("worker 2 died", shown)

    def test_what_no_terminal_can_show_is_an_escape(self) -> None:
        made = io.BytesIO()
        stream = io.TextIOWrapper(made, encoding="ascii", write_through=True)
        self.live._console.file = stream
        self.later(1)
        self.live.running([Running(test_id="tests.test_a.TestA.test_\xfc", worker=1, seconds=12.0)])
        self.live.finished(outcome("a", output="half \ud800, caf\xe9"))
        shown = made.getvalue().decode()
        self.assertIn(r"half \ud800, caf\xe9", shown)
        self.assertIn(r"TestA.test_\xfc", shown)

    def test_at_the_end_it_is_gone_and_the_other_one_tells(self) -> None:
        made = report(outcome("a"))
        self.live.ended(made)
        self.assertIs(self.end.report, made)
        self.assertIn("\x1b[?25h", self.shown(), "the cursor is back")


class TestWhetherThereIsSomebodyToLook(unittest.TestCase):
    def live(self, *, terminal: bool = True, **environ: str) -> bool:
        stream: Any = mock.Mock(isatty=lambda: terminal)
        return can_be_live(stream, environ)

    @unittest.skipUnless(has_rich, "rich is not installed")
    def test_a_terminal_is_drawn_on(self) -> None:
        self.assertTrue(self.live(TERM="xterm"))

    def test_files_machines_and_simple_terminals_get_lines(self) -> None:
        self.assertFalse(self.live(terminal=False))
        self.assertFalse(self.live(TERM="dumb"))
        self.assertFalse(self.live(TERM="xterm", CI="true"))
        self.assertFalse(self.live(TERM="xterm", NO_COLOR="1"))

    def test_so_does_everybody_without_rich(self) -> None:
        with mock.patch("importlib.util.find_spec", return_value=None):
            self.assertFalse(self.live(TERM="xterm"))
