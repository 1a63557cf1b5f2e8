"""Tests that never end, for `tests/performance/load_killed_tests.py` to kill; no pattern finds them."""

from __future__ import annotations

import asyncio
import os
import socket

from tests.support.pools import PoolCase
from tests.support.strange import strange


class TestVictim(PoolCase, timeout=None):
    def say_ready(self) -> None:
        """Tell who is about to kill this process that it is time."""
        told = socket.create_connection(("127.0.0.1", int(os.environ["WORKER_POOL_GATE"])))
        self.addCleanup(told.close)
        told.sendall(f"{os.getpid()}\n".encode())

    async def wait_for_ever(self) -> None:
        self.say_ready()
        await asyncio.Event().wait()

    async def test_with_idle_workers(self) -> None:
        await self.started()
        await self.wait_for_ever()

    async def test_with_busy_workers(self) -> None:
        pool = await self.started()
        streams = [pool.execute_stream("counts", {"n": 2, "gap": 600}, timeout=600.0) for _ in pool.workers()]
        self.assertEqual({next(stream) for stream in streams}, {0})
        await self.wait_for_ever()

    async def test_with_workers_without_a_lifeline(self) -> None:
        await self.started(1, command=strange("has no lifeline"))
        await self.wait_for_ever()

    async def test_while_workers_are_replaced(self) -> None:
        pool = await self.started(max_restarts=1_000_000)
        for number in range(10**9):
            if number == pool.size:
                self.say_ready()
            [victim, *_] = pool.workers()
            victim.kill()
            await self.replaced(pool, victim, timeout=60.0)
