"""Without anybody asking for another, an exploring loop keeps asyncio's own order."""

from __future__ import annotations

import unittest

from benchmarks import determinism
from benchmarks.parity import differences
from supertester.schedule.strategies import Strategy


class Last(Strategy):
    def choose(self, runnable, current):
        return len(runnable) - 1


class TestParity(unittest.TestCase):
    def test_random_programs_take_the_same_steps_as_on_asyncio(self) -> None:
        self.assertEqual([], differences(range(10_000, 10_300)))

    def test_another_order_would_be_noticed(self) -> None:
        self.assertGreater(len(differences(range(10_000, 10_030), Last())), 15)


class TestDeterminism(unittest.TestCase):
    def test_a_schedule_is_the_same_in_every_process(self) -> None:
        expected = {name: {determinism.run_once(name)} for name in determinism.PROGRAMS}
        self.assertEqual(determinism.outcomes(2), expected)
