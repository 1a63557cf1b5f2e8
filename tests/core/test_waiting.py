import asyncio
import contextlib
import math
import unittest
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from supertester._core.clock import ManualClock
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import UsageError, WaitTimeout


class _Jumping(ManualClock):
    """Time that jumps to every timer as soon as it is set, so that waiting takes none."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        timer = super().call_at(when, callback, *args)
        asyncio.get_running_loop().call_soon(lambda: self.advance(max(when - self.time(), 0.0)))
        return timer


class TestWaitUntil(unittest.IsolatedAsyncioTestCase):
    async def test_returns_what_the_condition_returned_at_once_if_it_is_true(self) -> None:
        self.assertEqual(await wait_until(lambda: "here", "it", timeout=0), "here")

    async def test_awaits_an_async_condition(self) -> None:
        async def look() -> int:
            await asyncio.sleep(0)
            return 7

        self.assertEqual(await wait_until(look, "it", timeout=1.0), 7)

    async def test_an_async_condition_that_needs_no_time_is_seen_with_a_timeout_of_zero(self) -> None:
        async def look() -> str:
            return "seen"

        self.assertEqual(await wait_until(look, "it", timeout=0), "seen")

    async def test_looks_once_with_a_timeout_of_zero(self) -> None:
        looks: list[int] = []
        with self.assertRaises(WaitTimeout):
            await wait_until(lambda: looks.append(1), "it", timeout=0)
        self.assertEqual(looks, [1])

    async def test_notices_what_other_tasks_do(self) -> None:
        done: list[int] = []
        asyncio.get_running_loop().call_soon(done.append, 1)
        self.assertEqual(await wait_until(lambda: done, "it", timeout=1.0), [1])

    async def test_says_what_was_waited_for_and_what_was_last_seen(self) -> None:
        with self.assertRaises(WaitTimeout) as caught:
            await wait_until(list, "three messages", timeout=2.5, clock=_Jumping())
        self.assertEqual(str(caught.exception), "timed out after 2.5 s waiting for three messages; last seen: []")

    async def test_shows_what_the_caller_says_was_seen(self) -> None:
        with self.assertRaises(WaitTimeout) as caught:
            await wait_until(lambda: False, "it", timeout=0, seen=lambda: "two of three")
        self.assertIn("last seen: two of three", str(caught.exception))

    async def test_takes_a_last_look_at_the_deadline(self) -> None:
        clock = _Jumping()
        self.assertEqual(
            await wait_until(lambda: clock.time() >= 1.0 and "late", "it", timeout=1.0, clock=clock), "late"
        )

    async def test_looks_less_and_less_often(self) -> None:
        clock = _Jumping()
        looks: list[float] = []
        with self.assertRaises(WaitTimeout):
            await wait_until(lambda: looks.append(clock.time()), "it", timeout=10.0, clock=clock)
        pauses = [after - before for before, after in pairwise(looks[3:-1])]
        self.assertEqual(pauses, sorted(pauses, key=lambda pause: round(pause, 6)))
        self.assertLess(len(looks), 300)

    async def test_can_wait_for_ever_for_an_async_condition(self) -> None:
        async def look() -> str:
            return "seen"

        self.assertEqual(await wait_until(look, "it", timeout=math.inf), "seen")

    async def test_a_look_that_answers_when_it_is_cancelled_counts(self) -> None:
        async def look() -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            return "at last"

        self.assertEqual(await wait_until(look, "it", timeout=1.0, clock=_Jumping()), "at last")

    async def test_gives_up_a_look_that_refuses_to_be_cancelled(self) -> None:
        released = asyncio.get_running_loop().create_future()

        async def look() -> None:
            while not released.done():
                try:
                    await asyncio.shield(released)
                except asyncio.CancelledError:
                    continue

        with self.assertRaises(WaitTimeout):
            await wait_until(look, "it", timeout=1.0, clock=_Jumping())
        released.set_result(None)

    async def test_cancels_an_async_condition_at_the_deadline(self) -> None:
        cancelled: list[bool] = []

        async def look() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        with self.assertRaises(WaitTimeout) as caught:
            await wait_until(look, "it", timeout=1.0, clock=_Jumping())
        self.assertTrue(cancelled)
        self.assertIn("last seen: an unfinished look", str(caught.exception))

    async def test_an_exception_of_the_condition_ends_the_wait(self) -> None:
        with self.assertRaisesRegex(KeyError, "nothing"):
            await wait_until(lambda: {}["nothing"], "it", timeout=1.0)

    async def test_a_cancelled_wait_cancels_the_look(self) -> None:
        looking: list[asyncio.Future[None]] = []

        def look() -> Awaitable[None]:
            looking.append(asyncio.get_running_loop().create_future())
            return looking[0]

        task = asyncio.create_task(wait_until(look, "it", timeout=60.0))
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertTrue(looking[0].cancelled())

    async def test_refuses_a_negative_timeout(self) -> None:
        with self.assertRaisesRegex(UsageError, r"timeout must be 0 or more seconds, got timeout=-1"):
            await wait_until(lambda: True, "it", timeout=-1)


class TestCheckedSeconds(unittest.TestCase):
    def test_refuses_what_is_no_number(self) -> None:
        for value in ("1", None, True):
            with self.subTest(value=value), self.assertRaisesRegex(TypeError, "grace must be a number of seconds"):
                checked_seconds("grace", value)  # type: ignore[arg-type]

    def test_refuses_not_a_number(self) -> None:
        with self.assertRaisesRegex(UsageError, "got grace=nan"):
            checked_seconds("grace", float("nan"))
