"""The way to a worker is broken, silent, slow or closed, while the worker is well."""

from __future__ import annotations

import asyncio
from typing import Any

from worker_pool import CallTimeout, Heartbeat, WorkerLost

from tests.support.pools import PoolCase
from tests.support.proxies import Proxies


class TestNetwork(PoolCase):
    async def behind_proxies(self, size: int = 2, **options: Any) -> Any:
        self.proxies = Proxies()
        return await self.started(size, dial=self.proxies.dial, max_restarts=100, **options)

    async def ask(self, pool: Any, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(pool.execute, *args, **options)

    async def test_a_connection_that_is_reset(self) -> None:
        """The call is lost, and the worker is not: it is asked, and trusted again."""
        pool = await self.behind_proxies(1, heartbeat=Heartbeat(interval=60.0, timeout=20.0))
        [worker] = pool.workers()
        with self.proxies.of(worker).reset_peer(direction="both"), self.assertRaises(WorkerLost):
            await self.ask(pool, "ping")
        await self.assert_telemetry("pool.worker_trusted", {"generation": 1}, timeout=20.0)
        self.assertEqual((await self.ask(pool, "ping"))["pid"], worker.pid)

    async def test_a_connection_on_which_nothing_comes(self) -> None:
        pool = await self.behind_proxies(1)
        [worker] = pool.workers()
        with self.proxies.of(worker).partition():
            with self.assertRaises(CallTimeout):
                await self.ask(pool, "ping", timeout=0.2)
            new = await self.replaced(pool, worker)
        self.assertEqual((await self.ask(pool, "ping"))["pid"], new.pid)

    async def test_a_silent_worker_does_not_fail_who_may_ask_twice(self) -> None:
        pool = await self.behind_proxies(2)
        [silent, other] = pool.workers()
        with self.proxies.of(silent).partition():
            pids = {(await self.ask(pool, "ping", timeout=2.0, attempts=2))["pid"] for _ in range(4)}
        self.assertEqual(pids, {other.pid})
        self.assertEqual(pool.retries, 1)  # After the first call nobody was sent there.

    async def test_a_slow_network(self) -> None:
        """A quarter of a second each way is half a second for an answer, and no reason to give a worker up."""
        pool = await self.behind_proxies(1)
        [worker] = pool.workers()
        loop = asyncio.get_running_loop()
        with self.proxies.of(worker).latency(250, direction="both"):
            began = loop.time()
            await self.ask(pool, "ping")
            self.assertGreaterEqual(loop.time() - began, 0.5)
        await self.refute_telemetry("pool.worker_suspect", timeout=0)
        self.assertEqual(pool.workers(), [worker])

    async def test_an_address_at_which_nobody_answers(self) -> None:
        pool = await self.behind_proxies(1)
        [worker] = pool.workers()
        with self.proxies.of(worker).down():
            with self.assertRaises(WorkerLost):
                await self.ask(pool, "ping")
            new = await self.replaced(pool, worker)
        self.assertEqual((await self.ask(pool, "ping"))["pid"], new.pid)
