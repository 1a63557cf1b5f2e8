"""How many schedules differ, and how likely another one would."""

from __future__ import annotations

import asyncio
import doctest
import random
import unittest
from typing import Any

from supertester.schedule import coverage as module
from supertester.schedule import explore_schedules
from supertester.schedule.coverage import Coverage, CoverageCounter
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Bounded, Dpor, RandomWalk
from tests.schedule.strategies.support import Program, orders, racing


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    tests.addTests(doctest.DocTestSuite(module))
    return tests


def counted(program: Program, count: int, *, seed: int = 1) -> tuple[Coverage, int]:
    """Return the coverage of so many random schedules, and in how many ways they went."""
    counter, strategy, numbers, logs = CoverageCounter(), RandomWalk(), random.Random(seed), set()
    for number in range(count):
        strategy.begin(numbers, number)
        loop, log = ExploringLoop(strategy), list[str]()
        loop.run(program(log))
        counter.note(loop.choices)
        logs.add(tuple(log))
    return counter.coverage(), len(logs)


async def two() -> None:
    async def task() -> None:
        for _ in range(2):
            await asyncio.sleep(0)

    await asyncio.gather(task(), task())


class TestSchedules(unittest.TestCase):
    def test_the_same_choices_are_one_schedule(self) -> None:
        coverage, _ = counted(racing(a=1, b=1), 300)
        self.assertEqual((coverage.counted, coverage.distinct), (300, 6))

    def test_at_first_every_schedule_is_new(self) -> None:
        coverage, _ = counted(racing(a=9, b=9), 10)
        self.assertEqual((coverage.distinct, coverage.saturation), (10, 0.0))

    def test_lanes_with_the_same_number_under_other_parents_are_others(self) -> None:
        root = Lane("callback", None, 0)
        one, other = (Lane("task", Lane("task", root, number), 0) for number in range(2))
        counter = CoverageCounter()
        counter.note([(2, one)])
        counter.note([(2, other)])
        self.assertEqual(counter.coverage().distinct, 2)

    def test_after_so_many_it_stops_counting(self) -> None:
        counter = CoverageCounter()
        lanes = [Lane("task", None, number) for number in range(2)]
        for _ in range(module.MOST):
            counter.note([(2, lanes[0])])
        counter.note([(2, lanes[1])])
        self.assertEqual((counter.coverage().counted, counter.coverage().distinct), (module.MOST, 1))


class TestSaturation(unittest.TestCase):
    def test_it_estimates_how_much_has_been_seen(self) -> None:
        """Of 252 equally likely schedules the truth is known: it is the share that was seen."""
        numbers = random.Random(7)
        lanes = [Lane("task", None, number) for number in range(252)]
        for drawn in (100, 250, 1000):
            with self.subTest(drawn=drawn):
                counter, seen = CoverageCounter(), set()
                for _ in range(drawn):
                    lane = numbers.choice(lanes)
                    lane._path = (lane.number,)
                    seen.add(lane.number)
                    counter.note([(252, lane)])
                estimate = counter.coverage().saturation
                assert estimate is not None
                self.assertAlmostEqual(estimate, len(seen) / 252, delta=0.1)

    def test_nothing_is_estimated_of_what_was_never_run_or_never_runs_twice(self) -> None:
        self.assertIsNone(CoverageCounter().coverage().saturation)
        self.assertIsNone(explored(two, strategy="bounded").saturation)


def explored(function: Any, **options: Any) -> Coverage:
    coverage = explore_schedules(function, seed=1, database=False, **options).coverage
    assert coverage is not None
    return coverage


class TestClasses(unittest.TestCase):
    async def two_increments(self) -> None:
        count = 0

        async def task() -> None:
            nonlocal count
            await asyncio.sleep(0)
            count += 1

        await asyncio.gather(task(), task())
        self.assertEqual(count, 2)

    def test_where_accesses_are_noted_unrelated_steps_make_no_difference(self) -> None:
        class Watched(RandomWalk):
            needs_accesses = True

        coverage = explored(self.two_increments, strategy=Watched(), schedules=60)
        reduced = explored(self.two_increments, strategy=Dpor())
        self.assertEqual(coverage.classes, reduced.classes)
        assert coverage.classes is not None
        self.assertGreater(coverage.distinct, coverage.classes)
        self.assertIsNone(explored(self.two_increments, schedules=5).classes)


class TestReport(unittest.TestCase):
    def test_it_says_how_much_was_seen(self) -> None:
        report = explore_schedules(two, schedules=200, strategy="random", seed=1, database=False)
        self.assertRegex(
            str(report),
            r"coverage  \d+ different schedules among 200, another would have been new with a probability of \d+\.\d%",
        )
        shown = report.to_dict()["coverage"]
        self.assertEqual(shown["counted"], 200)
        self.assertLess(shown["distinct"], 200)

    def test_a_bound_is_told_as_soon_as_it_is_reached(self) -> None:
        for schedules, limit, preemptions in ((1, None, None), (3, None, 0), (30, 1, 1)):
            with self.subTest(schedules=schedules):
                found = explored(two, strategy=Bounded(limit), schedules=schedules)
                self.assertEqual(found.preemptions, preemptions)
        report = explore_schedules(two, strategy="bounded:1", schedules=30, database=False)
        self.assertIn("all with at most 1 preemption were run", str(report))
        self.assertFalse(report.exhausted)

    def test_what_is_complete_needs_no_estimate(self) -> None:
        report = explore_schedules(two, strategy="bounded", complete=True, database=False)
        self.assertTrue(report.ok and report.exhausted)
        self.assertEqual(report.schedules, len(list(orders(Bounded(), racing(a=3, b=3)))))
        self.assertNotIn("\n  coverage", str(report))

    def test_a_bound_is_not_complete(self) -> None:
        report = explore_schedules(two, strategy="bounded:1", complete=True, database=False)
        self.assertRegex(
            str(report),
            r"not all schedules of .*two were run: 8 passed, and there are more; use strategy='bounded' without a "
            "number, as 'bounded:1' runs none with more preemptions, make the test smaller, or leave complete=True out",
        )

    def test_a_bound_that_leaves_nothing_out_is_complete(self) -> None:
        async def one() -> None:
            await asyncio.sleep(0)

        report = explore_schedules(one, strategy="bounded:0", complete=True, database=False)
        self.assertTrue(report.ok and report.exhausted, report)
