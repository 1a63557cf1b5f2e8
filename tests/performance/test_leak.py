"""Leaks of memory: planted ones are found and named, caches and noise are not taken for leaks."""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import random
import sys
import unittest
from typing import Any
from unittest import mock

import psutil

from supertester.errors import UsageError
from supertester.performance.leak import Trend, probe_memory_leak
from tests.alone import alone
from tests.performance.frugal import frugal

kept: list[Any] = []


def leak_in_a_module() -> None:
    kept.append(bytearray(1_000))


class TestTrends(unittest.TestCase):
    def test_of_noise_are_not_rising(self) -> None:
        chance = random.Random(7341)
        rising = sum(Trend.of([chance.gauss(1_000, 50) for _ in range(13)]).rising for _ in range(1_000))
        self.assertLess(rising, 20)

    def test_of_an_early_jump_are_flat(self) -> None:
        self.assertFalse(Trend.of([0.0] * 2 + [1_000.0] * 11).slope)

    def test_of_a_leak_in_noise_and_of_a_staircase_are_rising(self) -> None:
        chance = random.Random(7341)
        self.assertTrue(Trend.of([n * 16 + chance.uniform(0, 30) for n in range(13)]).rising)
        self.assertTrue(Trend.of([n // 2 * 64 for n in range(13)]).rising)


@alone("measures the memory of the process")
class TestLeaks(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        frugal(self)
        self.addCleanup(kept.clear)

    async def test_of_16_bytes_a_run_is_found_with_its_line(self) -> None:
        buffer = bytearray()
        report = await probe_memory_leak(1_000, lambda: buffer.extend(b"0123456789abcdef"))
        self.assertTrue(report.leaking)
        self.assertEqual(report.kind, "python")
        self.assertGreaterEqual(len(report.rounds), 3)
        self.assertTrue(15 <= report.rounds[-1].bytes_per_call <= 20, report)
        self.assertRegex(str(report.mismatch), r"memory leak detected: 1[5-9]\S* bytes a run, growing over \d rounds")
        self.assertRegex(report.sites[0], r"\d+ bytes \(\+\d+ blocks\) kept from \S+test_leak.py:\d+")
        self.assertTrue(json.loads(json.dumps(report.to_dict()))["leaking"])

    async def test_of_an_async_operation_is_found(self) -> None:
        async def leaks() -> None:
            kept.append(object())

        self.assertTrue((await probe_memory_leak(500, leaks, min_absolute_growth_bytes=20_000)).leaking)

    async def test_is_found_however_slow_the_machine_is(self) -> None:
        for least, rounds in ((20_000, 3), (10_000_000, 4)):
            with self.subTest(least=least), mock.patch("supertester.performance.leak.SECONDS", 0.0):
                report = await probe_memory_leak(500, lambda: kept.append(object()), min_absolute_growth_bytes=least)
                self.assertTrue(report.leaking)
                self.assertEqual(len(report.rounds), rounds)

    async def test_without_a_leak_there_is_none(self) -> None:
        report = await probe_memory_leak(200, lambda: [bytes(100) for _ in range(10)])
        self.assertFalse(report.leaking)
        self.assertIsNone(report.mismatch)

    async def test_caches_that_fill_are_none(self) -> None:
        numbers = itertools.count(1_000)

        @functools.lru_cache(300)
        def cached(number: int) -> str:
            return str(number) * 10

        report = await probe_memory_leak(200, lambda: cached(next(numbers)), min_absolute_growth_bytes=1_000)
        self.assertFalse(report.leaking, report)
        self.assertGreater(len(report.rounds), 1)

    async def test_in_a_process_of_its_own(self) -> None:
        report = await probe_memory_leak(20, leak_in_a_module, own_process=True)
        self.assertTrue(report.leaking)
        self.assertIn("test_leak.py", report.sites[0])
        self.assertEqual(kept, [])

    @unittest.skipUnless(hasattr(psutil, "heap_info") and sys.platform == "linux", "psutil cannot see the heap")
    async def test_of_a_c_library_is_found(self) -> None:
        libc = ctypes.CDLL(None)
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
        newest = ctypes.c_void_p()  # The blocks are a chain, which takes no memory of Python's.

        def leaks() -> None:
            block = libc.malloc(1_000)
            ctypes.c_void_p.from_address(block).value = newest.value
            newest.value = block

        try:
            report = await probe_memory_leak(100, leaks, threshold=0.0)
        finally:
            while block := newest.value:
                newest.value = ctypes.c_void_p.from_address(block).value
                libc.free(block)
        self.assertTrue(report.leaking, report)
        self.assertEqual(report.kind, "native")
        self.assertIn("native memory leak detected", str(report.mismatch))

    async def test_nonsense_is_refused(self) -> None:
        for arguments, options, error, words in (
            ((2, list), {}, UsageError, "iterations must be 3 or more, got iterations=2"),
            ((5.0, list), {}, TypeError, "iterations must be a whole number"),
            ((5, list), {"sample_count": 2}, UsageError, "sample_count must be 3 or more"),
            ((5, list), {"threshold": -1}, UsageError, "threshold must be 0 or more"),
            ((5, list), {"min_absolute_growth_bytes": "1"}, TypeError, "min_absolute_growth_bytes must be a number"),
            ((5, 3), {}, TypeError, "an operation must be callable, got 3"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                await probe_memory_leak(*arguments, **options)  # type: ignore[arg-type]
