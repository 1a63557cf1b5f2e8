"""`ExploringLoop` runs a program as asyncio does, or as a strategy wants."""

from __future__ import annotations

import asyncio
import itertools
import unittest

from supertester.schedule.exploring_loop import ExploringLoop, Livelock
from supertester.schedule.strategies import Fifo
from supertester.schedule.virtual_loop import Deadlock


def explored(main):
    return ExploringLoop(Fifo()).run(main)


class TestRunning(unittest.TestCase):
    def test_time_leaps(self) -> None:
        self.assertEqual(explored(asyncio.sleep(3600, "an hour later")), "an hour later")

    def test_waiting_for_ever_is_a_deadlock(self) -> None:
        async def main():
            await asyncio.Lock().acquire()
            await asyncio.Event().wait()

        with self.assertRaisesRegex(Deadlock, "task 'Task-1' .* waits for Event.wait"):
            explored(main())

    def test_no_end_is_a_livelock(self) -> None:
        async def main():
            for _ in itertools.count():
                await asyncio.sleep(0)

        with self.assertRaisesRegex(Livelock, "no end within 100 steps"):
            ExploringLoop(Fifo(), step_limit=100).run(main())
