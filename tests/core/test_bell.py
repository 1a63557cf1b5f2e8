import asyncio
import math
import unittest

from supertester._core.clock import ManualClock
from supertester._core.waiting import Bell, wait_until
from supertester.errors import WaitTimeout
from tests.subjects import Jumping


class TestBell(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # Or all it makes is traced, which takes long.

    async def test_ends_a_wait_although_time_stands_still(self) -> None:
        for certain in (True, False):
            with self.subTest(certain=certain):
                bell, seen = Bell(certain=certain), []
                wait = asyncio.ensure_future(
                    wait_until(lambda seen=seen: seen, "it", timeout=1.0, clock=ManualClock(), bell=bell)
                )
                for _ in range(20):
                    await asyncio.sleep(0)
                seen.append(1)
                bell.ring()
                self.assertEqual(await wait, [1])

    async def test_a_ring_during_a_look_is_not_lost(self) -> None:
        bell, looks = Bell(certain=True), []

        def look() -> bool:
            looks.append(1)
            bell.ring()
            return len(looks) > 6

        self.assertTrue(await wait_until(look, "it", timeout=math.inf, clock=ManualClock(), bell=bell))

    async def test_nobody_looks_without_a_ring_that_is_certain_to_come(self) -> None:
        looks: list[int] = []
        for bell, expected in ((Bell(certain=True), 5), (Bell(), 50)):
            looks.clear()
            with self.assertRaises(WaitTimeout):
                await wait_until(lambda: looks.append(1), "it", timeout=10.0, clock=Jumping(), bell=bell)
            (self.assertLessEqual if bell.certain else self.assertGreater)(len(looks), expected)

    async def test_a_ring_that_nobody_waits_for_is_no_error(self) -> None:
        bell = Bell()
        bell.ring()
        self.assertTrue(await wait_until(lambda: True, "it", timeout=0, bell=bell))
        bell.ring("whatever", "is", "passed")
