"""Faults are choices of the schedule."""

from __future__ import annotations

import asyncio
import math
import unittest
from functools import partial

from supertester.schedule.virtual_loop import Deadlock
from tests.schedule.exploring import SECOND, Last, Scripted, explored, explored_anyhow


async def yielding(times=3):
    for _ in range(times):
        await asyncio.sleep(0)


class TestFaults(unittest.TestCase):
    def test_are_offered_after_the_ordinary_lanes_while_something_can_run(self) -> None:
        log: list[str] = []

        async def main():
            loop = asyncio.get_running_loop()
            lane = loop.offer_fault("kill worker#1", lambda: log.append("killed"), "worker")
            self.assertEqual((lane.kind, lane.label, lane.path[0]), ("fault", "kill worker#1", -1))
            await yielding(2)
            await asyncio.sleep(5 * SECOND)

        strategy = Scripted("nothing")
        explored(main(), strategy)
        self.assertEqual(
            strategy.offered,
            [["main", "kill worker#1"]] * 2 + [["timer 5 s", "kill worker#1"], ["main", "kill worker#1"]],
        )
        self.assertEqual(log, [])
        explored(main(), Scripted("kill worker#1"))
        self.assertEqual(log, ["killed"])

    def test_have_the_same_path_in_every_run(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            return [
                loop.offer_fault("", print, key).path for key in (("kill", "db"), ("kill", "db"), ("kill", "web"), None)
            ]

        paths = explored(main())
        self.assertEqual(paths, [(-1, 182271975), (-1, 182271975), (-1, 4237388363), (0, 0)])

    def test_can_be_withdrawn_and_have_a_number_of_times(self) -> None:
        log: list[str] = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.offer_fault("often", lambda: log.append("often"), times=2)
            lane = loop.offer_fault("withdrawn", lambda: log.append("withdrawn"))
            lane.withdraw()
            lane.withdraw()
            await yielding()

        explored(main(), Last())
        self.assertEqual(log, ["often", "often"])

    def test_are_limited_in_all(self) -> None:
        log: list[str] = []

        async def main():
            for name in "abc":
                asyncio.get_running_loop().offer_fault(name, partial(log.append, name))
            await yielding(9)

        explored(main(), Last(), fault_budget=2)
        self.assertEqual(len(log), 2)
        log.clear()
        explored(main(), Last(), fault_budget=0)
        self.assertEqual(log, [])

    def test_can_schedule_callbacks_while_they_are_offered_again(self) -> None:
        log: list[int] = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.offer_fault("often", lambda: loop.call_soon(log.append, len(log)), times=3)
            await yielding()

        explored_anyhow(main)
        explored(main(), Last())
        self.assertGreater(len(log), 2)

    def test_do_not_rescue_from_a_deadlock(self) -> None:
        async def main():
            event = asyncio.Event()
            asyncio.get_running_loop().offer_fault("set it", event.set)
            await event.wait()

        with self.assertRaises(Deadlock):
            explored(main(), Scripted("nothing"))

    def test_errors_of_theirs_are_noted(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            loop.offer_fault("fail", lambda: 1 / 0)
            await yielding()
            return [(each["message"], repr(each["exception"])) for each in loop.unhandled]

        expected = [("Exception in fail", "ZeroDivisionError('division by zero')")]
        self.assertEqual(explored(main(), Last()), expected)


class TestTimerFirst(unittest.TestCase):
    async def racing(self) -> str:
        try:
            async with asyncio.timeout(10):
                await yielding(5)
        except TimeoutError:
            return "timed out"
        return "in time"

    def test_lets_a_timeout_strike_although_others_can_run(self) -> None:
        strategy = Scripted("the next timer first")
        self.assertEqual(explored(self.racing(), strategy, timer_first=1), "timed out")
        self.assertEqual(strategy.offered, [["racing", "the next timer first"]])

    def test_is_not_offered_unless_asked_for(self) -> None:
        self.assertEqual(set(explored_anyhow(self.racing)), {"in time"})
        self.assertEqual(set(explored_anyhow(self.racing, timer_first=1)), {"in time", "timed out"})

    def test_never_brings_what_never_comes(self) -> None:
        async def main():
            handle = asyncio.get_running_loop().call_later(math.inf, print)
            await yielding()
            handle.cancel()

        strategy = Scripted()
        explored(main(), strategy, timer_first=1)
        self.assertEqual(strategy.offered, [])

    def test_has_a_budget(self) -> None:
        async def main():
            for _ in range(3):
                asyncio.get_running_loop().call_later(1, int)
                await asyncio.sleep(0)
            await yielding()
            return asyncio.get_running_loop().time()

        self.assertEqual(explored(main(), Last(), timer_first=2), 2)
        strategy = Scripted()
        explored(main(), strategy, timer_first=2)
        self.assertEqual(strategy.offered[0], ["main", "the next timer first"])
