"""100 users, ten operations per second each, for a minute: calm, with too much to do, and with kills."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from session_pool import SessionPool

from supertester import PerformanceMixin
from supertester.performance import LoadReport
from supertester.reporting import load_page, save_page
from tests.support import PATIENCE, POOL_SIZE, PoolCase

USERS, RATE = 100, 10.0
SECONDS = float(os.environ.get("SUPERTESTER_LOAD_SECONDS", "60"))
CHAOS_SECONDS = min(SECONDS, 20.0)
QUIET = 0.5
"""Processors that other programs may use on a machine that counts as quiet."""
REPORTS = os.environ.get("SUPERTESTER_LOAD_REPORTS")
"""A folder for pages with what happened when."""

Mark = Callable[[str], None]


class LoadCase(PerformanceMixin, PoolCase, timeout=600):
    async def load(
        self, operation: Callable[[int], Any], seconds: float, chaos: Callable[[Mark], Awaitable[None]] | None = None
    ) -> LoadReport:
        return await self.run_load(operation, users=USERS, rate=RATE, duration=seconds, chaos=chaos, progress=False)

    def assert_promise(self, report: LoadReport) -> None:
        """Hold what users are promised, which leaves much room."""
        self.assert_load(report, min_success_rate=0.99)
        self.assert_gates(report, max_p95_ms=100, max_p99_ms=500)

    def assert_gates(self, report: LoadReport, **bounds: float) -> None:
        """Hold how fast the pool is on a machine that has nothing else to do.

        On any other the test is skipped here, as one that can show no more; what may not fail was looked at before.
        """
        if report.foreign_cpu is not None and report.foreign_cpu > QUIET:
            self.skipTest(f"inconclusive: other programs used {report.foreign_cpu:.2g} processors\n{report}")
        self.assert_load(report, **bounds)

    def save(self, report: LoadReport, title: str) -> None:
        if REPORTS:
            save_page(load_page(report, title=title), Path(REPORTS) / f"{title.replace(' ', '-')}.html")


class TestProfile(LoadCase):
    async def test_the_pool_keeps_what_was_promised_and_much_more(self) -> None:
        pool = self.start_pool(max(POOL_SIZE, (os.cpu_count() or 1) * 2))
        report = await self.load(lambda user: pool.execute_in_session(f"user_{user}", "ping"), SECONDS)
        self.save(report, "profile")
        self.assertEqual(report.errors, {})
        self.assert_promise(report)
        self.assert_load(report, min_throughput=0.995 * USERS * RATE)
        self.assert_gates(report, max_p95_ms=5, max_p99_ms=20)
        self.assertLess(report.own_cpu, 0.5)

    async def test_calls_of_nobody_are_served_as_well(self) -> None:
        pool = self.start_pool()
        report = await self.load(lambda _: pool.execute_anonymous("ping"), CHAOS_SECONDS)
        self.assertEqual(report.errors, {})
        self.assert_promise(report)

    async def test_too_much_to_do_is_noticed(self) -> None:
        """Four workers need 5 ms for each call, so 1,000 in a second are too many; nobody waits politely here."""
        pool = self.start_pool(4, checkout_timeout=60)
        seconds = min(SECONDS, 10.0)
        report = await self.load(lambda _: pool.execute_anonymous("sleep", {"seconds": 0.005}, timeout=60), seconds)
        self.save(report, "overload")
        assert report.p95_ms is not None
        self.assertGreater(report.p95_ms, 100 * seconds)
        with self.assertRaisesRegex(AssertionError, "p95_ms is"):
            self.assert_promise(report)


class Killing:
    """Kills a worker each time that so many operations have been done."""

    def __init__(
        self, pool: SessionPool, *, every: int, seed: int, kill: Callable[[int], object] | None = None
    ) -> None:
        self.pool = pool
        self.kills = 0
        self._every = every
        self._chance = random.Random(seed)
        self._kill = kill or (lambda pid: os.kill(pid, signal.SIGKILL))
        self._done = threading.Semaphore(0)

    def counted(self) -> None:
        self._done.release()

    async def run(self, mark: Mark) -> None:
        while await asyncio.to_thread(self._after_so_many):
            worker = self._chance.choice(list(self.pool.workers()))
            mark(f"kill {worker.id}")
            assert worker.pid is not None
            self._kill(worker.pid)
            self.kills += 1
            if await asyncio.to_thread(self._replaced):
                mark("replaced")

    def _after_so_many(self) -> bool:
        return all(self._done.acquire(timeout=2.0) for _ in range(self._every))

    def _replaced(self) -> bool:
        return self.pool.await_status(lambda status: status["metrics"].get("restarts", 0) >= self.kills, 1.0)


class TestKills(LoadCase):
    def assert_delivered(self, pool: SessionPool, killing: Killing, at_least: int) -> None:
        deaths = pool.status()["metrics"].get("deaths", 0)
        self.assertEqual(deaths, killing.kills, "no fault was delivered" if not deaths else None)
        self.assertGreaterEqual(deaths, at_least)

    async def under_kills(self, kill: Callable[[int], object] | None = None, seconds: float = CHAOS_SECONDS) -> None:
        """A kill with each 1,000 operations, which is one per second."""
        pool = self.start_pool(max_restarts=1_000)
        killing = Killing(pool, every=int(USERS * RATE), seed=self.isolation.seed, kill=kill)

        def operation(_: int) -> None:
            try:
                pool.execute_anonymous("ping", retries=2)
            finally:
                killing.counted()

        report = await self.load(operation, seconds, killing.run)
        self.save(report, "kills")
        self.assert_delivered(pool, killing, int(seconds * 0.9))
        self.assertEqual((report.errors, report.success_rate), ({}, 1.0))
        self.assertTrue(pool.await_size(POOL_SIZE, PATIENCE))
        self.assert_promise(report)
        self.assert_gates(report, max_p99_ms=50)

    async def test_nobody_who_tries_again_notices_a_kill_in_each_second(self) -> None:
        await self.under_kills()

    async def test_kills_that_hit_nobody_are_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "no fault was delivered"):
            await self.under_kills(kill=lambda _: None, seconds=3.0)

    async def test_sessions_are_lost_with_their_workers_and_nothing_else_is(self) -> None:
        pool = self.start_pool(max_restarts=1_000)
        killing = Killing(pool, every=int(USERS * RATE), seed=self.isolation.seed)

        def operation(user: int) -> None:
            try:
                pool.execute_in_session(f"user_{user}", "ping")
            finally:
                killing.counted()

        report = await self.load(operation, CHAOS_SECONDS, killing.run)
        self.save(report, "sessions under kills")
        self.assert_delivered(pool, killing, int(CHAOS_SECONDS * 0.9))
        self.check_accounted(Counter(report.errors), killing.kills, pool.status()["metrics"]["sessions_lost"])

    def check_accounted(self, errors: Counter[str], kills: int, lost: int) -> None:
        under_way, told = errors.pop("PortClosed", 0), errors.pop("SessionLost", 0)
        self.assertEqual(errors, {}, "nothing else was to happen")
        self.assertLessEqual(under_way, kills)
        self.assertLessEqual(told, lost)

    def test_one_error_of_another_kind_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "(?s)PoolTimeout.*nothing else was to happen"):
            self.check_accounted(Counter(PortClosed=1, SessionLost=20, PoolTimeout=1), kills=1, lost=25)
