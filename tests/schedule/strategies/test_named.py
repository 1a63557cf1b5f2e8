"""Strategies by name, and names that there are not."""

from __future__ import annotations

import unittest

from supertester.errors import UsageError
from supertester.schedule.strategies import STRATEGIES, named_strategy
from supertester.schedule.strategies.auto import CYCLE
from tests.schedule.strategies.support import orders, racing


class TestNames(unittest.TestCase):
    def test_a_strategy_bears_its_name(self) -> None:
        for name in STRATEGIES:
            self.assertEqual(named_strategy(name).name, name)

    def test_each_time_it_is_a_new_one(self) -> None:
        self.assertIsNot(named_strategy("bounded"), named_strategy("bounded"))

    def test_parameters(self) -> None:
        for name in ("pct:3", "bounded:0"):
            self.assertEqual(named_strategy(name).name, name)
        self.assertEqual(named_strategy("sticky:0.9").name, "sticky:0.9")

    def test_what_makes_no_sense_is_refused_with_a_remedy(self) -> None:
        known = "the known ones are auto, fifo, random, pos, roles, pct, urw, sticky, bounded, dpor"
        for name, message in (
            ("pso", f"unknown strategy 'pso' (did you mean 'pos'?); {known}"),
            ("", f"unknown strategy ''; {known}"),
            (
                "pos:3",
                "strategy 'pos' takes no parameter, got 'pos:3'; those with one are pct:3, sticky:0.9, bounded:2",
            ),
            ("pct:0", "strategy 'pct:0': the depth must be a whole number from 1, as in 'pct:3'"),
            ("pct:", "strategy 'pct:': the depth must be a whole number from 1, as in 'pct:3'"),
            (
                "sticky:1",
                "strategy 'sticky:1': the probability must be a number from 0 and less than 1, as in 'sticky:0.9'",
            ),
            ("sticky:nan", "strategy 'sticky:nan': the probability must be"),
            (
                "bounded:-1",
                "strategy 'bounded:-1': the most preemptions must be a whole number from 0, as in 'bounded:2'",
            ),
        ):
            with self.subTest(name), self.assertRaises(UsageError) as caught:
                named_strategy(name)
            self.assertIn(message, str(caught.exception))


class TestAuto(unittest.TestCase):
    def test_the_first_schedule_is_asyncios_own(self) -> None:
        self.assertEqual(next(orders(named_strategy("auto"), racing(a=2, b=2), 1)), ("a", "b", "a", "b"))

    def test_all_have_their_turns_and_a_failure_says_whose_it_was(self) -> None:
        strategy = named_strategy("auto")
        seen = [strategy.name for _ in orders(strategy, racing(a=2, b=2), 1 + 2 * len(CYCLE))]
        self.assertEqual(seen, ["fifo", *CYCLE, *CYCLE])
