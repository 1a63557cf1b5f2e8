"""Workers die again and again: the pool is full again, or it gives up and says so."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from worker_pool import PoolError, RestartIntensityExceeded

from tests.support.pools import PoolCase
from tests.support.strange import strange


class TestRecovery(PoolCase):
    async def test_every_worker_is_replaced_when_all_die_at_once(self) -> None:
        pool = await self.started(4, max_restarts=4)
        old = pool.workers()
        for worker in old:
            os.kill(worker.pid, signal.SIGKILL)
        for worker in old:
            await self.replaced(pool, worker)
        self.assertTrue(pool.await_size(4, 20.0))
        self.assertTrue({worker.pid for worker in pool.workers()}.isdisjoint(worker.pid for worker in old))
        self.assertEqual({self.status_of(worker) for worker in old}, {-9})

    async def test_any_worker_may_die(self) -> None:
        pool = await self.started(4)
        recovery = await self.assert_recovers(pool, within=20.0, probe=lambda: pool.await_size(4, 0))
        [(old, reason)], [new] = recovery.ended.items(), recovery.begun
        self.assertEqual((new.id, new.generation), (old.id, old.generation + 1))
        self.assertRegex(str(reason), "SIGKILL")

    async def test_a_pool_that_does_not_recover_is_found(self) -> None:
        pool = await self.started(2, max_restarts=0)
        with self.assertRaisesRegex(AssertionError, "nobody has taken the place"):
            await self.assert_recovers(pool, within=0.5)


class TestRestartIntensity(PoolCase):
    async def kills(self, pool: Any, number: int) -> None:
        for _ in range(number):
            [worker] = pool.workers()
            os.kill(worker.pid, signal.SIGKILL)
            if pool.over is None:
                await self.assert_telemetry("pool.worker_down", {"generation": worker.generation}, timeout=20.0)
            if pool.over is None and worker.generation < number:
                await self.replaced(pool, worker)

    async def test_one_death_more_than_allowed_is_the_end_of_the_pool(self) -> None:
        pool = await self.started(1, max_restarts=2, window=600.0)
        await self.kills(pool, 3)
        await self.assert_telemetry("pool.pool_over", timeout=20.0)
        with self.assertRaisesRegex(RestartIntensityExceeded, "more than 2 workers died within 600 s"):
            pool.execute("ping")
        self.assertEqual(self.starts(), 3)
        await self.assert_no_orphans(pool.run_id, within=20.0)

    async def test_who_waits_for_a_worker_is_told(self) -> None:
        pool = await self.started(1, threads=1, max_restarts=0)
        [worker] = pool.workers()
        stream = pool.execute_stream("counts", {"n": 2, "gap": 60})
        self.assertEqual(next(stream), 0)

        def work(number: int) -> Any:
            if number == 0:
                return pool.execute("ping", timeout=30.0)
            os.kill(worker.pid, signal.SIGKILL)
            return None

        outcomes = await self.run_in_threads(2, work, timeout=40.0)
        self.assertIsInstance(outcomes[0].error, RestartIntensityExceeded)

    async def test_a_worker_that_never_starts_again_is_not_started_for_ever(self) -> None:
        flag = Path(tempfile.mkdtemp(dir=self.tmp_path)) / "flag"
        pool = await self.started(1, command=strange(f"dies from now on {flag}"), max_restarts=3, window=600.0)
        [worker] = pool.workers()
        flag.touch()
        os.kill(worker.pid, signal.SIGKILL)
        await self.assert_telemetry("pool.pool_over", timeout=60.0)
        self.assertEqual(self.starts(), 4)

    async def test_without_a_limit_it_would_be(self) -> None:
        flag = Path(tempfile.mkdtemp(dir=self.tmp_path)) / "flag"
        pool = await self.started(1, command=strange(f"dies from now on {flag}"), max_restarts=10**9)
        [worker] = pool.workers()
        flag.touch()
        os.kill(worker.pid, signal.SIGKILL)
        await self.assert_telemetry("pool.worker_down", {"generation": 6}, timeout=60.0)
        self.assertGreater(self.starts(), 4)
        with self.assertRaises(PoolError):
            pool.execute("ping", timeout=0.1)

    def starts(self) -> int:
        return sum(event.name == "pool.worker_started" for event in self.telemetry.events)
