from __future__ import annotations

import unittest

from supertester.attachments import Attached
from supertester.reporting import exploration_page
from supertester.runner.attaching import rendered
from supertester.schedule import explore_schedules
from tests.schedule import planted


class TestExplorationPage(unittest.TestCase):
    def test_a_failure_has_a_column_for_each_task_and_marks_the_forced_switch(self) -> None:
        report = explore_schedules(planted.deadlock, seed=1, database=False)
        text = exploration_page(report)
        self.assertIn("<th>save</th><th>spend</th>", text)
        self.assertEqual(text.count('<tr class="forced">'), 1)
        self.assertIn("deadlock: these wait for each other, in a circle:", text)
        self.assertIn("SUPERTESTER_REPLAY=s1.", text)

    def test_what_the_program_says_is_text_and_no_html(self) -> None:
        async def program() -> None:
            raise LookupError("<script>")

        text = exploration_page(explore_schedules(program, schedules=1, database=False))
        self.assertIn("&lt;script&gt;", text)
        self.assertNotIn("<script>", text)

    def test_what_passes_is_one_line(self) -> None:
        text = exploration_page(explore_schedules(planted.correct, schedules=3, database=False))
        self.assertIn('<p class="good">tests.schedule.planted.correct passed under 3 schedules', text)

    def test_a_run_shows_it_as_text_and_as_a_page(self) -> None:
        report = explore_schedules(planted.deadlock, seed=1, database=False)
        self.assertEqual([each.kind for each in rendered(Attached("schedules", report))], ["text/plain", "text/html"])
        passed = explore_schedules(planted.correct, schedules=3, database=False)
        self.assertEqual([each.kind for each in rendered(Attached("schedules", passed))], ["text/plain"])
