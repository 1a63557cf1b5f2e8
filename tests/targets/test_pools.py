"""Pools of one's own as targets, and what they must have for that."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from supertester import ChaosMixin, IsolatedTestCase, OTPAssertions, UsageError
from supertester.targets import check_target_contract, target_of
from tests.targets.programs import program


@dataclass
class Worker:
    """A worker as a pool knows it."""

    id: str
    generation: int
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None


class Pool:
    """A pool of processes that does nothing but replace those that have ended, when it is asked to."""

    def __init__(self, case: IsolatedTestCase, size: int) -> None:
        self.slots = [Worker(f"worker-{number}", 1, self.started()) for number in range(size)]
        case.addCleanup(self.close)

    def started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(program())

    def workers(self) -> Iterable[Worker]:
        return list(self.slots)

    def heal(self) -> None:
        for number, worker in enumerate(self.slots):
            if not worker.alive():
                self.slots[number] = Worker(worker.id, worker.generation + 1, self.started())

    def close(self) -> None:
        for worker in self.slots:
            worker.popen.kill()
            worker.popen.wait()


class TestPools(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_worker_is_killed_and_the_pool_replaces_it(self) -> None:
        pool = Pool(self, 3)
        target = target_of(pool)
        names = [worker.identity.id for worker in target.workers()]
        self.assertEqual((target.identity.id, names), ("Pool", ["worker-0", "worker-1", "worker-2"]))

        def kill_and_heal() -> Any:
            return self.kill_random_worker(pool)

        with self.assertRaisesRegex(AssertionError, r"has lost worker-\d .*nobody has taken the place within 0.05 s"):
            await self.assert_recovers(pool, kill=kill_and_heal, within=0.05)
        self.assertEqual(len(target.workers()), 2)
        pool.heal()
        self.assertEqual(sorted(worker.identity.generation for worker in target.workers()), [1, 1, 2])

        async def kill() -> None:
            await self.kill_random_worker(pool)
            pool.heal()

        recovery = await self.assert_recovers(pool, kill=kill)
        self.assertEqual([life.id for life in recovery.begun], [life.id for life in recovery.ended])

    async def test_it_keeps_the_contract_as_far_as_it_can_be_ended(self) -> None:
        report = str(await check_target_contract(lambda: Pool(self, 1)))
        self.assertIn("PoolTarget breaks 1 clause of Target:\n  end: it supports neither kill() nor stop()", report)
        worker = target_of(Pool(self, 1)).workers()[0]
        self.assertIsNone(await check_target_contract(lambda: target_of(Pool(self, 1)).workers()[0]))
        self.assertFalse(worker.supports("workers"))

    async def test_a_worker_that_says_too_little(self) -> None:
        class Silent:
            def workers(self) -> Iterable[Any]:
                return ["me"]

        with self.assertRaisesRegex(TypeError, "has a worker without id, pid, generation, alive: 'me'"):
            target_of(Silent()).workers()

    async def test_workers_that_are_targets_and_a_pool_that_has_ended(self) -> None:
        worker = target_of(Pool(self, 1)).workers()[0]

        class Ended:
            name = "ended"

            def workers(self) -> Iterable[Any]:
                return [worker]

            def is_alive(self) -> bool:
                return False

        target = target_of(Ended())
        self.assertEqual((target.identity.id, target.is_alive(), target.workers()), ("ended", False, [worker]))
        with self.assertRaisesRegex(UsageError, "is not alive, so there is nothing to kill"):
            await self.assert_recovers(Ended())
