"""What workers say is taken down, whatever they had said before."""

from __future__ import annotations

import unittest
from types import SimpleNamespace
from typing import Any

from supertester.runner.desks import Desk
from supertester.runner.hearing import Hearing
from supertester.runner.ledger import Ledger
from supertester.runner.plan import Plan, Settings
from tests.runner.made import declared


class TestHearing(unittest.TestCase):
    def setUp(self) -> None:
        plan = Plan.of([declared("m.C.test_1"), declared("m.C.test_2", index=1)])
        self.ledger = Ledger(plan.tests, ())
        worker: Any = SimpleNamespace(number=1)
        self.desk = Desk(worker)
        self.hearing = Hearing(plan, Settings(), self.ledger, lambda _: None)

    def test_an_outcome_counts_though_its_slot_had_no_task(self) -> None:
        self.hearing.take(self.desk, "d", 0, 0, ("passed", 1.0, 0.5))
        self.hearing.take(self.desk, "d", 0, 0, ("passed", 2.0, 0.5))  # Only the first counts.
        self.assertEqual([each.test_id for each in self.ledger.outcomes], ["m.C.test_1"])
        self.assertEqual((self.ledger.open, self.desk.tasks), ({1}, {}))

    def test_a_test_that_begins_where_there_was_no_task_runs(self) -> None:
        self.hearing.take(self.desk, "s", 3, 1, 1.0)
        self.assertEqual(self.desk.tasks[3].runs, "m.C.test_2")
        self.hearing.take(self.desk, "d", 3, 1, ("passed", 1.0, 0.5))
        self.assertEqual(self.desk.tasks, {})
