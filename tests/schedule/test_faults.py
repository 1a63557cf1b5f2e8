"""What may go wrong: the values, the budgets of a loop, and the moments."""

from __future__ import annotations

import asyncio
import unittest
from random import Random
from typing import Any

from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.faults import Faults, no_more_faults
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Fifo, Strategy
from supertester.schedule.strategies.fault_moments import FaultMoments


class TestFaults(unittest.TestCase):
    def test_budgets_are_those_of_what_may_happen(self) -> None:
        self.assertEqual({"kill": 1, "delay": 2}, Faults(kill=1, delay=2).budgets())

    def test_one_target_or_several(self) -> None:
        self.assertIsNone(Faults(kill=1).chosen())
        self.assertEqual(("worker",), Faults(kill=1, targets="worker").chosen())
        self.assertEqual((dict,), Faults(kill=1, targets=dict).chosen())
        self.assertEqual(("a", dict), Faults(kill=1, targets=["a", dict]).chosen())

    def test_nonsense_is_refused_with_its_value(self) -> None:
        for options, error, message in (
            ({}, UsageError, "nothing may go wrong: give one of kill, crash, drop, duplicate, delay, timer_first"),
            ({"kill": -1}, UsageError, "kill must be 0 or more, got kill=-1"),
            ({"drop": 1.5}, TypeError, "drop must be a whole number, got drop=1.5"),
            ({"drop": True}, TypeError, "drop must be a whole number, got drop=True"),
            ({"delay": 1, "seconds": -1}, UsageError, "seconds"),
            ({"kil": 1}, TypeError, "kil"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(error, message):
                Faults(**options)  # type: ignore[arg-type]


class Scripted(Strategy):
    """Takes the first lane with the label that is next in the script, else what asyncio would."""

    name = "scripted"

    def __init__(self, *labels: str) -> None:
        self.labels = list(labels)
        self.offered: list[list[str]] = []

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        labels = [lane.label for lane in runnable]
        self.offered.append([lane.label for lane in runnable if lane.kind == "fault"])
        if self.labels and self.labels[0] in labels:
            return labels.index(self.labels.pop(0))
        return 0


def run(strategy: Strategy, faults: Faults, main: Any) -> ExploringLoop:
    loop = ExploringLoop(strategy)
    loop.allow_faults(faults)
    loop.run(main(loop))
    return loop


class TestBudgets(unittest.TestCase):
    def test_a_kind_is_offered_as_often_as_it_is_allowed(self) -> None:
        async def main(loop: ExploringLoop) -> None:
            for name in "abc":
                loop.offer_fault(f"kill {name}", lambda name=name: seen.append(name), kind="kill")  # type: ignore[misc]
            loop.offer_fault("drop x", lambda: seen.append("x"), kind="drop")
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertFalse(loop.fault_left("kill"))
            self.assertTrue(loop.fault_left("drop"))
            self.assertFalse(loop.fault_left("delay"))

        seen: list[str] = []
        strategy = Scripted("kill b", "kill c", "kill a")
        run(strategy, Faults(kill=2, drop=1), main)
        self.assertEqual(["b", "c"], seen)
        self.assertEqual(["drop x"], strategy.offered[-1])

    def test_nothing_goes_wrong_after_the_end_of_faults(self) -> None:
        async def main(loop: ExploringLoop) -> None:
            loop.offer_fault("kill", lambda: seen.append("killed"), kind="kill")
            no_more_faults()
            for _ in range(5):
                await asyncio.sleep(0)

        seen: list[str] = []
        run(Scripted("kill"), Faults(kill=1), main)
        self.assertEqual([], seen)

    def test_a_label_may_be_made_when_it_is_chosen(self) -> None:
        async def main(loop: ExploringLoop) -> None:
            loop.offer_fault(lambda: f"drop {what[0]}", what.clear, kind="drop")
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        class Last(Strategy):
            def choose(self, runnable: list[Lane], current: Lane | None) -> int:
                return len(runnable) - 1

        what = ["this"]
        loop = run(Last(), Faults(drop=1), main)
        self.assertEqual(["drop this"], [lane.label for _, lane in loop.choices if lane.kind == "fault"])

    def test_a_timer_may_be_first(self) -> None:
        async def main(loop: ExploringLoop) -> None:
            loop.call_later(60, seen.append, "timer")
            for _ in range(3):
                await asyncio.sleep(0)
            seen.append("main")

        seen: list[str] = []
        run(Scripted("the next timer first"), Faults(timer_first=1), main)
        self.assertEqual(["timer", "main"], seen)


class TestFaultMoments(unittest.TestCase):
    def moments(self, budgets: dict[str, int], schedules: int) -> list[list[int]]:
        """Return at which turns of a schedule of ten faults happened, for each schedule."""
        found = []

        async def main(loop: ExploringLoop) -> None:
            turns: list[int] = []
            turn = 0
            loop.offer_fault("kill", lambda: turns.append(turn), times=9, kind="kill")
            for turn in range(10):  # noqa: B007  # Read by the fault.
                await asyncio.sleep(0)
            found.append(turns)

        strategy = FaultMoments(Fifo(), budgets)
        random = Random(7)
        for number in range(schedules):
            strategy.begin(random, number)
            loop = ExploringLoop(strategy)
            loop.allow_faults(Faults(**budgets))  # type: ignore[arg-type]
            loop.run(main(loop))
        return found

    def test_the_first_schedule_has_none(self) -> None:
        self.assertEqual([[]], self.moments({"kill": 1}, 1))

    def test_they_are_spread_over_all_of_a_schedule(self) -> None:
        moments = [moment for turns in self.moments({"kill": 1}, 500) for moment in turns]
        counts = [moments.count(turn) for turn in range(10)]
        self.assertGreater(min(counts), 20)
        self.assertLess(max(counts), 120)

    def test_a_schedule_has_up_to_as_many_as_are_allowed(self) -> None:
        counts = [len(turns) for turns in self.moments({"kill": 3}, 300)]
        self.assertEqual({0, 1, 2, 3}, set(counts))

    def test_it_is_the_strategy_that_it_asks_for_all_else(self) -> None:
        self.assertEqual("fifo", FaultMoments(Fifo(), {"kill": 1}).name)
