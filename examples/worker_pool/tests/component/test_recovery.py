"""A worker that dies, in each of three ways, is followed by another one."""

from __future__ import annotations

import os
import signal

import psutil
from worker_pool import Heartbeat, PoolError

from tests.support.pools import PoolCase
from tests.support.strange import strange


class TestRecovery(PoolCase):
    async def test_killed_by_a_signal(self) -> None:
        pool = await self.started(1)
        [old] = pool.workers()
        os.kill(old.pid, signal.SIGKILL)
        new = await self.replaced(pool, old)
        self.assertEqual((new.id, new.generation, self.status_of(old)), (old.id, 2, -9))
        self.assertFalse(psutil.pid_exists(old.pid), "it has not been reaped")
        self.assertEqual(pool.execute("ping")["pid"], new.pid)

    async def test_ended_by_itself(self) -> None:
        pool = await self.started(1, command=strange(""))
        [old] = pool.workers()
        with self.assertRaises(PoolError):
            pool.execute("exit", {"status": 13})
        new = await self.replaced(pool, old)
        self.assertEqual(self.status_of(old), 13)
        self.assertEqual(pool.execute("ping")["pid"], new.pid)

    async def test_hangs(self) -> None:
        pool = await self.started(1, heartbeat=Heartbeat(interval=0.05, timeout=0.5, misses=2))
        [old] = pool.workers()
        await self.frozen(old)
        new = await self.replaced(pool, old)
        self.assertEqual(self.status_of(old), -9)
        self.assertEqual(pool.execute("ping")["pid"], new.pid)

    async def test_without_a_restart_nobody_follows(self) -> None:
        """What the tests above wait for does not come by itself."""
        pool = await self.started(1, max_restarts=0)
        [old] = pool.workers()
        os.kill(old.pid, signal.SIGKILL)
        with self.assertRaises(AssertionError):
            await self.replaced(pool, old, timeout=0.3)
