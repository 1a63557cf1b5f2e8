"""Bounds, and memory that is kept."""

from __future__ import annotations

import json
import tracemalloc
import unittest
from types import SimpleNamespace
from typing import Any

from supertester.errors import UsageError
from supertester.performance import (
    MemoryUsage,
    check_memory_usage_stable,
    check_performance_within_bounds,
    measure_memory_usage,
)
from tests.alone import alone
from tests.performance.frugal import frugal


class TestBounds(unittest.TestCase):
    def test_hold_up_to_the_bound_itself(self) -> None:
        for result in ({"max_time": 5, "max_memory": 7}, SimpleNamespace(max_time=5, max_memory=7)):
            self.assertIsNone(check_performance_within_bounds(result, {"max_time": 5, "max_memory": 7.5}))

    def test_that_are_exceeded_are_all_named(self) -> None:
        found = check_performance_within_bounds({"max_time": 5, "max_memory": 7}, {"max_time": 4, "max_memory": 1})
        self.assertEqual(str(found), "max_time is 5, expected at most 4; max_memory is 7, expected at most 1")

    def test_no_number_is_within_no_bound(self) -> None:
        self.assertIsNotNone(check_performance_within_bounds({"max_time": float("nan")}, {"max_time": 4}))

    def test_take_no_nonsense(self) -> None:
        measured = {"max_time": 5}
        for expectations, words in (
            ({}, "there is nothing to check; give bounds for max_time or max_memory"),
            ({"max_tme": 1}, "unknown bound 'max_tme'; the known ones are max_time, max_memory"),
            ({"max_time": "1"}, "the bound for 'max_time' must be a number, got '1'"),
            ({"max_memory": 1}, "the result has no 'max_memory'"),
        ):
            with self.subTest(expectations=expectations), self.assertRaises(UsageError) as caught:
                check_performance_within_bounds(measured, expectations)  # type: ignore[arg-type]
            self.assertIn(words, str(caught.exception))
        with self.assertRaisesRegex(UsageError, "the result for 'max_time' must be a number, got None"):
            check_performance_within_bounds({"max_time": None}, {"max_time": 1})
        with self.assertRaisesRegex(TypeError, "expectations must be a mapping"):
            check_performance_within_bounds(measured, [("max_time", 1)])  # type: ignore[arg-type]


@alone("measures the memory of the process")
class TestMemory(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        frugal(self)

    async def test_that_is_kept_is_found_with_its_place(self) -> None:
        kept: list[Any] = []
        usage = await measure_memory_usage(lambda: kept.append(bytearray(1_000_000)))
        self.assertGreater(usage.kept_bytes, 1_000_000)
        self.assertIn(__file__, usage.sites[0])
        json.dumps(usage.to_dict())

    async def test_that_is_given_back_is_stable(self) -> None:
        async def allocates() -> bytearray:
            return bytearray(100_000_000)

        self.assertIsNone(await check_memory_usage_stable(allocates))

    async def test_use_that_falls_is_stable(self) -> None:
        tracemalloc.start()
        try:
            kept = [bytearray(10_000_000)]
            self.assertIsNone(await check_memory_usage_stable(kept.clear))
            self.assertTrue(tracemalloc.is_tracing())
        finally:
            tracemalloc.stop()

    async def test_that_grows_is_not(self) -> None:
        kept: list[Any] = []
        found = await check_memory_usage_stable(lambda: kept.append(bytearray(10_000_000)), tolerance=0)
        self.assertRegex(
            str(found),
            r"^the memory in use grew by 1\d{7} bytes, [\d.]+% of \d+; expected at most 0.0%\n  1\. 1\d{7} bytes kept ",
        )
        self.assertFalse(tracemalloc.is_tracing())

    async def test_takes_no_nonsense(self) -> None:
        with self.assertRaisesRegex(TypeError, "must be callable, got 3"):
            await check_memory_usage_stable(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "tolerance must be 0 or more"):
            await check_memory_usage_stable(lambda: None, tolerance=-0.1)

    def test_change_is_a_share(self) -> None:
        self.assertEqual(MemoryUsage(100, 25).change, 0.25)
