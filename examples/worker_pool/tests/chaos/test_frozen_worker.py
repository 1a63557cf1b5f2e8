"""A worker stands still: its connections are open, and nobody answers."""

from __future__ import annotations

import os
import signal

from worker_pool import CallTimeout, Heartbeat

from tests.support.pools import PoolCase


class TestFrozenWorker(PoolCase):
    async def test_the_heartbeat_finds_it_without_a_call(self) -> None:
        pool = await self.started(2, heartbeat=Heartbeat(interval=0.05, timeout=0.5, misses=2))
        [frozen, other] = pool.workers()
        await self.frozen(frozen)
        new = await self.replaced(pool, frozen)
        self.assertEqual((self.status_of(frozen), new.generation), (-9, 2))
        self.assertEqual(other.generation, 1)
        self.assertEqual({pool.execute("ping")["pid"] for _ in range(4)}, {new.pid, other.pid})

    async def test_without_a_heartbeat_nobody_notices(self) -> None:
        pool = await self.started(1)
        [frozen] = pool.workers()
        await self.frozen(frozen)
        await self.refute_telemetry("pool.worker_suspect", timeout=0.3)
        self.assertTrue(frozen.alive())

    async def test_the_first_call_that_it_does_not_answer_is_the_last(self) -> None:
        """The call takes its whole deadline; after it nobody is sent there."""
        pool = await self.started(2)
        [frozen, other] = pool.workers()
        await self.frozen(frozen)
        late = 0
        for _ in range(4):
            try:
                self.assertNotEqual(pool.execute("ping", timeout=1.0)["pid"], frozen.pid)
            except CallTimeout:
                late += 1
        self.assertEqual(late, 1)
        await self.replaced(pool, frozen)
        self.assertEqual(other.generation, 1)

    async def test_one_that_goes_on_in_time_is_kept(self) -> None:
        pool = await self.started(1, heartbeat=Heartbeat(interval=0.05, timeout=0.2, misses=1_000))
        [worker] = pool.workers()
        await self.frozen(worker)
        await self.assert_telemetry("pool.worker_suspect", timeout=20.0)
        os.kill(worker.pid, signal.SIGCONT)
        await self.assert_telemetry("pool.worker_trusted", timeout=20.0)
        self.assertEqual(pool.execute("ping")["pid"], worker.pid)
