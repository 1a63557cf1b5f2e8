"""Shrinking finds the fewest switches, within its budget."""

from __future__ import annotations

import itertools
import unittest
from collections.abc import Callable
from unittest import mock

from supertester.schedule.shrink import Attempt, shrink
from supertester.schedule.token import Switch

HERE, A, B, C = (0,), (0, 1), (0, 2), (0, 3)
Switches = tuple[Switch, ...]


def to(turn: int, lane: tuple[int, ...]) -> Switch:
    return Switch(HERE, turn, lane)


def program(fails: Callable[[Switches], bool], *, turns: int = 12) -> Callable[[Switches], Attempt]:
    """Return a program in which so many times `B` or `C` could go on instead; `A` never can."""

    def attempt(switches: Switches) -> Attempt:
        made = tuple(each for each in switches if each.turn < turns and each.lane != A)
        first = made[-1].turn + 1 if made else 0
        return Attempt(fails(made), made, lambda: [to(turn, lane) for turn in range(first, turns) for lane in (B, C)])

    return attempt


class TestShrink(unittest.TestCase):
    def test_what_matters_stays_and_the_rest_goes(self) -> None:
        needed = {to(3, B), to(7, C)}
        found = tuple(to(turn, B if turn != 7 else C) for turn in range(10))
        shrunk = shrink(found, program(lambda made: needed <= set(made)))
        self.assertEqual(set(shrunk.switches), needed)
        self.assertTrue(shrunk.is_least)

    def test_a_failure_that_needs_no_switch_has_none(self) -> None:
        shrunk = shrink([to(1, B), to(2, C)], program(lambda _: True))
        self.assertEqual((shrunk.switches, shrunk.replays, shrunk.is_least), ((), 1, True))

    def test_it_finds_a_way_that_dropping_alone_does_not_lead_to(self) -> None:
        def fails(made: Switches) -> bool:
            lanes = [each.lane for each in made]
            return lanes == [C] or lanes.count(B) >= 4

        shrunk = shrink([to(turn, B) for turn in range(4)], program(fails))
        self.assertEqual([each.lane for each in shrunk.switches], [C])

    def test_switches_that_cannot_be_made_do_not_count(self) -> None:
        found = [to(1, B), *(to(turn, A) for turn in range(2, 9))]
        shrunk = shrink(found, program(lambda made: any(each.lane == B for each in made)))
        self.assertEqual(len(shrunk.switches), 1)

    def test_it_keeps_to_its_budget_and_says_that_less_may_do(self) -> None:
        found = [to(turn, B) for turn in range(10)]
        attempt = program(lambda made: len(made) >= 5)
        shrunk = shrink(found, attempt, replays=30)
        self.assertEqual(shrunk.replays, 30)
        self.assertFalse(shrunk.is_least)
        self.assertEqual(len(shrink(found, attempt, seconds=0).switches), 10)

    def test_it_takes_processor_time_and_no_other(self) -> None:
        found = tuple(to(turn, B) for turn in range(10))
        busy = mock.Mock(thread_time=lambda: 0.0, monotonic=itertools.count(step=1_000).__next__)
        with mock.patch("supertester.schedule.shrink.time", busy):
            self.assertEqual(shrink(found, program(lambda _: True)).switches, ())
        slow = mock.Mock(thread_time=itertools.count(step=1_000).__next__)
        with mock.patch("supertester.schedule.shrink.time", slow):
            self.assertEqual(shrink(found, program(lambda _: True)).switches, found)
