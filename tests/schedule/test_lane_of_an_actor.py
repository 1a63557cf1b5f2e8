"""A task in a lane that is there already."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo


class TestCreateTaskIn(unittest.TestCase):
    def test_its_steps_are_steps_of_that_lane(self) -> None:
        seen: list[Any] = []

        async def work() -> None:
            seen.append(loop.lane)
            await asyncio.sleep(0)
            seen.append(loop.lane)

        async def main() -> None:
            lane = loop.new_lane("process")
            loop.call_in(lane, seen.append, lane)
            task = loop.create_task_in(lane, work(), name="worker")
            await task
            self.assertEqual("worker", task.get_name())

        loop = ExploringLoop(Fifo())
        loop.run(main())
        self.assertEqual([seen[0]] * 3, seen)
