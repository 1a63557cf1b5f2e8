"""Workers that have too little memory: one that is told so, and one that the system ends."""

from __future__ import annotations

import psutil
from session_pool import PortClosed, RemoteError

from supertester import Unsupported
from supertester.chaos import consume_memory
from tests.support import PoolCase


class TestMemory(PoolCase):
    async def test_a_worker_that_gets_no_more_memory_says_so_and_serves_on(self) -> None:
        pool = self.start_pool(1)
        [worker] = pool.workers()
        async with consume_memory(1.0, limit_mb=64, target=psutil.Process(worker.pid), scope="worker"):
            with self.assertRaisesRegex(RemoteError, "MemoryError"):
                pool.execute_anonymous("allocate", {"megabytes": 200})
            self.assertEqual(pool.execute_anonymous("ping")["pid"], worker.pid)
        self.assertEqual(pool.execute_anonymous("allocate", {"megabytes": 100}), {"held": 100})

    async def test_a_worker_that_the_system_ends_for_its_memory_is_replaced(self) -> None:
        pool = self.start_pool(1)
        [worker] = pool.workers()
        try:
            pressure = await consume_memory(0.5, limit_mb=64, target=psutil.Process(worker.pid), scope="cgroup")
        except Unsupported as error:
            self.skipTest(str(error))
        async with pressure:
            with self.assertRaisesRegex(PortClosed, "signal SIGKILL"):
                pool.execute_anonymous("allocate", {"megabytes": 200})
            self.await_restarts(pool, 1)
        self.assertGreaterEqual(pressure.evidence["oom_kills"], 1)
        self.assertEqual(pool.execute_anonymous("allocate", {"megabytes": 100}), {"held": 100})
