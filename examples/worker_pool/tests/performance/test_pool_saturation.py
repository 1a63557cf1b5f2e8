"""More calls than workers: all are served, in order, and no worker idles while somebody waits."""

from __future__ import annotations

import threading
from typing import Any

from worker_pool import Saturated, WorkerPool

from tests.support.gate import Gate
from tests.support.pools import POOL_SIZE, PoolCase
from tests.support.strange import strange


class TestSaturation(PoolCase):
    async def held(self, pool: WorkerPool) -> list[Any]:
        """Return streams that occupy every worker."""
        streams = [pool.execute_stream("counts", {"n": 2, "gap": 60}, timeout=120.0) for _ in pool.workers()]
        self.assertEqual([next(stream) for stream in streams], [0] * len(streams))
        return streams

    async def test_five_calls_for_each_worker(self) -> None:
        """They wait while all workers are busy, and then every worker serves five of them."""
        pool = await self.started(threads=1)
        streams = await self.held(pool)
        calls = 5 * POOL_SIZE

        def work(number: int) -> Any:
            if number < calls:
                return pool.execute("ping", timeout=60.0)["pid"]
            while waiting() < calls:
                changed.wait(60)
                changed.clear()
            for stream in streams:
                stream.close()
            return None

        changed = threading.Event()
        refuse = pool._scheduler._refuse_to_wait
        pool._scheduler._refuse_to_wait = lambda ticket: (refuse(ticket), changed.set())

        def waiting() -> int:
            return pool._scheduler.waiting

        outcomes = await self.run_in_threads(calls + 1, work, timeout=90.0)
        pids = [outcome.unwrap() for outcome in outcomes[:calls]]
        self.assertEqual(len(pids), calls)
        self.assertEqual(set(pids), {worker.pid for worker in pool.workers()})
        self.assertEqual(waiting(), 0)

    async def test_beyond_the_queue_a_call_is_refused_at_once(self) -> None:
        pool = await self.started(threads=1, max_queue=0)
        streams = await self.held(pool)
        with self.assertRaisesRegex(Saturated, "0 calls wait already"):
            pool.execute("ping")
        for stream in streams:
            stream.close()
        self.assertEqual(pool.execute("ping")["status"], "pong")

    async def test_all_places_are_used_at_the_same_time(self) -> None:
        pool = await self.started(threads=4, command=strange(""))
        calls = 4 * POOL_SIZE
        with Gate() as gate:

            def work(number: int) -> Any:
                if number < calls:
                    return pool.execute("wait_at_gate", gate.args, timeout=90.0)["pid"]
                try:
                    return gate.await_calls(calls)
                finally:
                    gate.open()

            outcomes = await self.run_in_threads(calls + 1, work, timeout=100.0)
        pids = outcomes[-1].unwrap()
        self.assertEqual({pid: pids.count(pid) for pid in pids}, {worker.pid: 4 for worker in pool.workers()})
