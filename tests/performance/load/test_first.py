"""The first operation of a load: what it returns is lost in no turn of the loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.performance.load.first import FirstOperation
from supertester.performance.load.recorder import Recorder

LIMIT = 0.01


class TestFirst(IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        self.recorder = Recorder()
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)

    def begin(self) -> FirstOperation:
        """Begin an async operation that takes its time to make a coroutine."""

        async def operation() -> None: ...

        def late(_: int) -> Any:
            self.go_on.wait(60)
            return operation()

        return FirstOperation(late, 7, self.recorder)

    async def test_that_returns_in_the_turn_in_which_the_time_is_up_is_async(self) -> None:
        loop = asyncio.get_running_loop()
        first = self.begin()
        thread = next(each for each in threading.enumerate() if each.name == "supertester-load-user-7-first")

        def return_at_the_end_of_the_time() -> None:
            end = loop.time() + LIMIT
            self.go_on.set()
            thread.join()
            while loop.time() < end:  # A turn of the loop that takes so long.
                pass

        waiting = asyncio.ensure_future(first.result(LIMIT))
        loop.call_soon(return_at_the_end_of_the_time)
        result = await waiting
        self.assertIsNotNone(result, "its coroutine was lost")
        await first.finish(result)
        self.assertEqual(self.recorder.totals().succeeded, 1)

    async def test_that_returns_when_nobody_waits_any_more_is_finished_all_the_same(self) -> None:
        first = self.begin()
        waiting = asyncio.ensure_future(first.result(60))
        await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        self.go_on.set()
        await asyncio.to_thread(first.ended.wait, 60)
        self.assertEqual(self.recorder.totals().succeeded, 1)
