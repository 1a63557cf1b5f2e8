"""Workers are killed while they work, many of them, and one that nobody has noticed yet."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import psutil
from worker_pool import PoolError, RestartIntensityExceeded, WorkerPool, wire

from tests.support.broken_pools import Inattentive, Unsuspecting
from tests.support.contract import has_died
from tests.support.pools import PoolCase


class TestStorm(PoolCase):
    CYCLES = 3

    async def test_a_crash_storm_under_load(self) -> None:
        """Two random workers are killed again and again; in the end all is as it was, and no request failed."""
        pool = await self.started(4, max_restarts=1_000)
        pool.execute("ping")
        before = self.belongings()
        load = _Load(pool, callers=4)
        for _ in range(self.CYCLES):
            for worker in [await self.killed(pool) for _ in range(2)]:
                await self.replaced(pool, worker)
        load.stop()

        self.assertEqual(load.errors, [])
        self.assertGreater(load.answers, 0)
        self.assertEqual(self.killed_so_far(), 2 * self.CYCLES)
        self.assertTrue(pool.await_size(4, 20.0))
        children = {child.pid for child in psutil.Process().children() if pool.run_id in " ".join(child.cmdline())}
        self.assertEqual(children, {worker.pid for worker in pool.workers()})
        await self.assert_eventually(lambda: all(map(int.__le__, self.belongings(), before)), within=20.0)

    async def test_a_pool_that_does_not_survive_it_is_found(self) -> None:
        pool = await self.started(2, max_restarts=0)
        load = _Load(pool, callers=2)
        await self.killed(pool)
        await self.assert_eventually(lambda: pool.over is not None, within=20.0)
        load.wait()  # Nobody is stopped, who might not have asked since then.
        self.assertEqual({type(error) for error in load.errors}, {RestartIntensityExceeded})
        self.assertFalse(pool.await_size(2, 0))

    async def killed(self, pool: WorkerPool) -> Any:
        """Return the worker that was just killed."""
        workers = {worker.pid: worker for worker in pool.workers()}
        injection = await self.kill_random_worker(pool)
        self.assertTrue(injection.died)
        return workers[injection.target.pid]

    def killed_so_far(self) -> int:
        return sum(
            event.name == "pool.worker_down" and event.metadata["status"] == -9 for event in self.telemetry.events
        )

    def belongings(self) -> tuple[int, int]:
        return psutil.Process().num_fds(), threading.active_count()


class _Load:
    """Callers that ask again and again, until they are stopped or get no answer.

    What they ask for takes a while without taking a processor, so that kills come while calls are under way.
    """

    def __init__(self, pool: WorkerPool, callers: int) -> None:
        self.answers = 0
        self.errors: list[PoolError] = []
        self._pool = pool
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(callers)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                self._pool.execute("slow", {"seconds": 0.02}, timeout=30.0, attempts=6)
                with self._lock:
                    self.answers += 1
            except PoolError as error:
                self.errors.append(error)
                return

    def stop(self) -> None:
        self._over.set()
        self.wait()

    def wait(self) -> None:
        """Return when no caller is left."""
        for thread in self._threads:
            thread.join()


class TestADeadWorkerAttractsCalls(PoolCase):
    """It fails at once, so it is never busy: without a rule against it, it gets every call."""

    async def failures(self, cls: type[WorkerPool]) -> tuple[int, int]:
        """Return how many of twenty calls fail after a worker has died, and how many with a second attempt."""
        pool = await self.started(2, cls=cls)
        [victim, other] = pool.workers()
        stream = pool.execute_stream("counts", {"n": 2, "gap": 60})  # So that one of them is busier.
        self.assertEqual(next(stream), 0)
        if victim.call(wire.request("stats", {}, None), 20.0)["open_streams"]:
            victim = other
        os.kill(victim.pid, signal.SIGKILL)
        self.assertTrue(has_died(victim))
        failed = [sum(self.fails(pool, attempts) for _ in range(20)) for attempts in (1, 2)]
        stream.close()
        return failed[0], failed[1]

    def fails(self, pool: WorkerPool, attempts: int) -> bool:
        try:
            pool.execute("ping", attempts=attempts)
        except PoolError:
            return True
        return False

    async def test_a_suspect_gets_one_call_and_no_other(self) -> None:
        self.assertEqual(await self.failures(Inattentive), (1, 0))

    async def test_without_suspicion_it_gets_all_of_them(self) -> None:
        self.assertEqual((await self.failures(Unsuspecting))[0], 20)
