"""How much the pool can do at most, in a closed loop; and how long saturation and recovery take."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

from worker_pool import WorkerPool

from tests.support.broken_pools import OneAtATime
from tests.support.pools import PoolCase

__tags__ = {"layer": "stress", "load": True}


class TestThroughput(PoolCase, timeout=None):
    FLOOR = 800
    """Calls in a second; 3,000 and more are measured on two processors."""

    async def per_second(self, pool: WorkerPool, callers: int, args: dict[str, Any], tool: str = "ping") -> float:
        calls = 500

        def work() -> None:
            for _ in range(calls):
                pool.execute(tool, args, timeout=60.0)

        began = time.monotonic()
        for outcome in await self.run_in_threads(callers, work, timeout=300.0):
            outcome.unwrap()
        return callers * calls / (time.monotonic() - began)

    async def test_the_floor(self) -> None:
        pool = await self.started(4)
        self.assertGreater(await self.per_second(pool, 8, {}), self.FLOOR)

    async def test_a_lock_around_the_call_is_below_it(self) -> None:
        """With operations of 2 ms: eight callers reach 800 in a second by far, one at a time cannot."""
        good = await self.started(4)
        bad = await self.started(4, cls=OneAtATime)
        self.assertGreater(await self.per_second(good, 8, {"seconds": 0.002}, "slow"), self.FLOOR)
        self.assertLess(await self.per_second(bad, 8, {"seconds": 0.002}, "slow"), self.FLOOR)


class TestSaturation(PoolCase, timeout=None):
    async def seconds(self, pool: WorkerPool) -> float:
        began = time.monotonic()
        outcomes = await self.run_in_threads(
            20, lambda: pool.execute("slow", {"seconds": 0.2}, timeout=60.0), timeout=90.0
        )
        self.assertEqual([outcome.error for outcome in outcomes], [None] * 20)
        return time.monotonic() - began

    async def test_twenty_calls_on_four_workers(self) -> None:
        """Five times 0.2 s would be ideal."""
        self.assertLess(await self.seconds(await self.started(4, threads=1)), 1.5)

    async def test_one_at_a_time_takes_longer(self) -> None:
        self.assertGreater(await self.seconds(await self.started(4, threads=1, cls=OneAtATime)), 1.5)


class TestRecovery(PoolCase, timeout=None):
    async def recovery(self, **options: Any) -> float:
        """Return the seconds from a kill until the next worker serves."""
        pool = await self.started(4, **options)
        victim = pool.workers()[0]
        began = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        await self.replaced(pool, victim, timeout=1.0)
        return time.monotonic() - began

    async def test_within_a_second(self) -> None:
        self.assertLess(await self.recovery(), 1.0)

    async def test_without_restarts_never(self) -> None:
        with self.assertRaises(AssertionError):
            await self.recovery(max_restarts=0)


class TestManyPools(PoolCase, timeout=None):
    async def test_sixteen_at_once_have_nothing_in_common(self) -> None:
        pools = [self.pool(1) for _ in range(16)]
        await asyncio.gather(*(asyncio.to_thread(pool.start) for pool in pools))
        workers = [worker for pool in pools for worker in pool.workers()]
        for what in ("pid", "port", "run_id"):
            self.assertEqual(len({getattr(worker, what) for worker in workers}), 16, what)
        closing = [threading.Thread(target=pool.close) for pool in pools]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        for pool in pools:
            await self.assert_no_orphans(pool.run_id, within=5.0)
