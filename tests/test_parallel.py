"""`assert_parallel`: calls that wait for each other are found, and a busy machine is no reason to fail."""

from __future__ import annotations

import asyncio
import threading
import unittest
from contextlib import suppress
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.mixins.harness import HarnessMixin
from supertester.testing import failure_of
from tests.alone import alone


def work() -> None:
    """Take 20 milliseconds at the least, without the processor."""
    threading.Event().wait(0.02)


class TestParallel(HarnessMixin, IsolatedTestCase):
    async def test_calls_that_do_not_wait_for_each_other_pass(self) -> None:
        await self.assert_parallel(lambda: None, unit_ms=10_000)
        met = asyncio.Barrier(3)

        async def meet(number: int) -> None:
            await met.wait()

        await self.assert_parallel(meet, 3, unit_ms=10_000)

    async def test_one_good_round_is_enough(self) -> None:
        held = threading.Lock()
        calls = iter(range(1000))

        def slow_at_first() -> None:
            if next(calls) < 4:
                with held:
                    work()

        await self.assert_parallel(slow_at_first, unit_ms=50, rounds=50)

    async def test_nonsense_is_refused(self) -> None:
        for options, words in (
            ({"n": 1}, "n must be 2 or more, got n=1"),
            ({"max_ratio": 4}, "max_ratio must be 1 or more and less than n=4, got max_ratio=4"),
            ({"unit_ms": 0}, "unit_ms must be more than 0 milliseconds, got unit_ms=0"),
            ({"rounds": 0}, "rounds must be 1 or more"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(UsageError, words):
                await self.assert_parallel(work, **options)  # type: ignore[arg-type]


class TestSerial(unittest.TestCase):
    def assert_found(self, unit_ms: float | None) -> None:
        lock = threading.Lock()

        def serial() -> None:
            with lock:
                work()

        async def body(case: Any) -> None:
            await case.assert_parallel(serial, 6, unit_ms=unit_ms)

        self.assertRegex(
            failure_of(body, HarnessMixin),
            r"6 calls at once took [\d.]+ ms, \d+\.\d times as long as one \([\d.]+ ms\), expected 1.5 times at "
            r"the most: they wait for each other\n  1\. round 1: [\d.]+ ms\n  2\. round 2: [\d.]+ ms\n  3\.",
        )

    def test_a_lock_around_threads_is_found(self) -> None:
        self.assert_found(20)

    @alone("measures how long one call takes")
    def test_a_lock_around_threads_is_found_where_one_call_is_measured(self) -> None:
        self.assert_found(None)

    def test_a_lock_around_tasks_is_found(self) -> None:
        async def body(case: Any) -> None:
            lock = asyncio.Lock()

            async def serial() -> None:
                async with lock:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(asyncio.Event().wait(), 0.02)

            await case.assert_parallel(serial, unit_ms=20, rounds=1)

        self.assertIn("they wait for each other", failure_of(body, HarnessMixin))

    def test_calls_that_fail_prove_nothing(self) -> None:
        for unit_ms in (20, None):

            async def body(case: Any, unit_ms: float | None = unit_ms) -> None:
                await case.assert_parallel(lambda: {}["x"], 2, unit_ms=unit_ms)

            self.assertRegex(
                failure_of(body, HarnessMixin), r"\d calls failed, so nothing is proved\n  1\. KeyError\('x'\)"
            )
