"""A pool begins with as many workers as it should, serves many callers, and ends with none."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil
from worker_pool import PoolClosed, QueueTimeout, WorkerStartError

from tests.support.broken_pools import Inattentive, OneAtATime
from tests.support.gate import Gate
from tests.support.pools import POOL_SIZE, PoolCase
from tests.support.strange import strange


class TestStart(PoolCase):
    async def test_it_starts_as_many_workers_as_it_was_told_to(self) -> None:
        pool = await self.started()
        workers = pool.workers()
        self.assertEqual([worker.id for worker in workers], [f"worker-{number}" for number in range(POOL_SIZE)])
        self.assertEqual({psutil.Process(worker.pid).ppid() for worker in workers}, {psutil.Process().pid})
        self.assertEqual(len({worker.port for worker in workers}), POOL_SIZE)
        await self.assert_child_count(pool, POOL_SIZE)
        await self.assert_all_children_alive(pool)

    async def test_one_that_is_missing_is_found(self) -> None:
        pool = await self.started(2, cls=Inattentive)
        victim = pool.workers()[0]
        await self.frozen(victim)
        await self.assert_child_count(pool, 2)  # A frozen one is one.
        os.kill(victim.pid, signal.SIGKILL)
        await self.assert_eventually(lambda: not victim.alive(), within=20.0)
        with self.assertRaises(AssertionError):
            await self.assert_child_count(pool, 2)
        with self.assertRaisesRegex(AssertionError, victim.id):
            await self.assert_all_children_alive(pool)

    async def test_workers_are_started_in_batches(self) -> None:
        pool = await self.started(3, batch=1)
        events = [(event.name, event.metadata["id"]) for event in self.telemetry.events]
        self.assertEqual([name for name, _ in events], ["pool.worker_started", "pool.worker_ready"] * 3)
        self.assertTrue(pool.await_size(3, 0))

    async def test_one_worker_that_does_not_start_fails_the_start_and_leaves_nothing(self) -> None:
        pool = self.pool(2, command=strange("dies"))
        with self.assertRaisesRegex(WorkerStartError, "ended with status 1; it said: no module named 'torch'"):
            await asyncio.to_thread(pool.start)
        await self.assert_no_orphans(pool.run_id)

    async def test_a_first_failure_is_not_healed_in_silence(self) -> None:
        """A worker that dies once and would work then: the pool says so all the same."""
        flag = Path(tempfile.mkdtemp(dir=self.tmp_path)) / "flag"
        pool = self.pool(1, command=strange(f"dies once {flag}"))
        with self.assertRaisesRegex(WorkerStartError, "this was the first time"):
            await asyncio.to_thread(pool.start)
        again = await self.started(1, command=strange(f"dies once {flag}"))
        self.assertEqual(again.execute("ping")["status"], "pong")

    async def test_two_pools_have_their_own_configurations(self) -> None:
        one, two = await self.started(1, threads=1, queue_timeout=0.0), await self.started(2)
        self.assertNotEqual(one.run_id, two.run_id)
        self.assertEqual(len({worker.pid for pool in (one, two) for worker in pool.workers()}), 3)
        stream = one.execute_stream("counts", {"n": 2, "gap": 60})
        self.assertEqual(next(stream), 0)
        with self.assertRaises(QueueTimeout):
            one.execute("ping")
        self.assertEqual(two.execute("ping")["status"], "pong")
        stream.close()


class TestCalls(PoolCase):
    async def at_the_gate(self, pool: Any, calls: int, timeout: float = 60.0) -> list[int]:
        """Return the processes that execute so many calls at the same time."""
        with Gate() as gate:

            def work(number: int) -> Any:
                if number < calls:
                    return pool.execute("wait_at_gate", gate.args, timeout=90.0)
                try:
                    return gate.await_calls(calls, timeout)
                finally:
                    gate.open()

            outcomes = await self.run_in_threads(calls + 1, work, timeout=100.0)
        for outcome in outcomes:
            outcome.unwrap()
        return list(outcomes[-1].value)

    async def test_ten_calls_at_once(self) -> None:
        """All ten are with the workers, five with each, before the first may end."""
        pool = await self.started(2, threads=5, command=strange(""))
        pids = await self.at_the_gate(pool, 10)
        self.assertEqual({pid: pids.count(pid) for pid in pids}, {worker.pid: 5 for worker in pool.workers()})

    async def test_calls_one_after_the_other_are_found(self) -> None:
        """There they are never two."""
        pool = await self.started(2, cls=OneAtATime, threads=5, command=strange(""))
        with self.assertRaises(TimeoutError):
            await self.at_the_gate(pool, 2, timeout=0.5)

    async def test_a_call_that_waited_too_long_is_never_executed(self) -> None:
        pool = await self.started(1, threads=1)
        stream = pool.execute_stream("counts", {"n": 2, "gap": 60})
        self.assertEqual(next(stream), 0)
        with self.assertRaisesRegex(QueueTimeout, "none of 1 workers was free in time"):
            pool.execute("echo", timeout=0.1)
        stream.close()
        self.assertEqual(pool.execute("stats")["executed"], 2)  # The stream and this one.

    async def test_inner_limits_are_within_the_outer_one(self) -> None:
        """Each attempt at a call that never ends has its share of the deadline, and the worker hears of it."""
        pool = await self.started(2)
        loop = asyncio.get_running_loop()
        began = loop.time()
        [outcome] = await self.run_in_threads(
            1, lambda: pool.execute("slow", {"seconds": 60}, timeout=0.4, attempts=2), timeout=30.0
        )
        self.assertEqual(type(outcome.error).__name__, "CallTimeout")
        self.assertGreaterEqual(loop.time() - began, 0.35)
        self.assertEqual(pool.retries, 1)


class TestClose(PoolCase):
    async def test_it_leaves_no_process(self) -> None:
        pool = await self.started(2)
        pids = [worker.pid for worker in pool.workers()]
        await asyncio.to_thread(pool.close)
        self.assertEqual([pid for pid in pids if psutil.pid_exists(pid)], [])
        await self.assert_no_orphans(pool.run_id)
        with self.assertRaises(PoolClosed):
            pool.execute("ping")

    async def test_calls_that_wait_are_told(self) -> None:
        pool = await self.started(1, threads=1)
        stream = pool.execute_stream("counts", {"n": 2, "gap": 60})
        self.assertEqual(next(stream), 0)

        waiting = threading.Event()
        enter = pool._scheduler._refuse_to_wait
        pool._scheduler._refuse_to_wait = lambda ticket: (enter(ticket), waiting.set())

        def work(number: int) -> Any:
            if number == 0:
                return pool.close() if waiting.wait(20) else "nobody waits"
            return pool.execute("ping")

        outcomes = await self.run_in_threads(2, work, timeout=20.0)
        self.assertIsInstance(outcomes[1].error, PoolClosed)
        stream.close()

    async def test_closed_in_the_middle_of_its_start_it_leaves_nothing(self) -> None:
        pool = self.pool(2, command=strange("is mute"))
        starting = asyncio.create_task(asyncio.to_thread(pool.start))
        await self.assert_telemetry("pool.worker_started", timeout=20.0)
        await asyncio.to_thread(pool.close)
        with self.assertRaises(PoolClosed):
            await starting
        await self.assert_no_orphans(pool.run_id)

    async def test_another_one_can_be_started_after_it(self) -> None:
        for _ in range(2):
            pool = await self.started(1)
            self.assertEqual(pool.execute("ping")["status"], "pong")
            await asyncio.to_thread(pool.close)
