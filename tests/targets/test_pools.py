"""Pools of one's own as targets, and what they must have for that."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from supertester import ChaosMixin, IsolatedTestCase, OTPAssertions, UsageError, WaitTimeout
from supertester.otp import Agent, Pid
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


def never() -> bool:
    """Be what no system fulfils."""
    return False


class TestPools(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_worker_is_killed_and_the_pool_replaces_it(self) -> None:
        pool = Pool(self, 3)
        target = target_of(pool)
        names = [worker.identity.id for worker in target.workers()]
        self.assertEqual((target.identity.id, names), ("Pool", ["worker-0", "worker-1", "worker-2"]))

        def kill_and_heal() -> Any:
            return self.kill_random_worker(pool)

        with self.assertRaisesRegex(AssertionError, r"has lost worker-\d .*nobody has taken the place within 0.5 s"):
            await self.assert_recovers(pool, kill=kill_and_heal, within=0.5)
        self.assertEqual(len(target.workers()), 2)
        pool.heal()
        self.assertEqual(sorted(worker.identity.generation for worker in target.workers()), [1, 1, 2])

        async def kill() -> None:
            await self.kill_random_worker(pool)
            pool.heal()

        recovery = await self.assert_recovers(pool, kill=kill)
        self.assertEqual([life.id for life in recovery.begun], [life.id for life in recovery.ended])

    async def test_a_worker_is_restarted(self) -> None:
        pool = Pool(self, 2)
        old, other = target_of(pool).workers()
        await self.assert_child_count(pool, 2)
        await self.assert_all_children_alive(pool)
        monitor = await self.monitor_process_lifecycle(old)
        old.kill()
        self.assertEqual(await monitor, "signal SIGKILL")
        with self.assertRaisesRegex(
            WaitTimeout, r"a successor of <WorkerTarget worker-0 .*; last seen: .* is gone, and nobody has its place"
        ):
            await self.wait_for_process_restart(pool, old, 0.01)
        with self.assertRaisesRegex(AssertionError, "a successor of <WorkerTarget worker-0"):
            await self.assert_process_restarted(pool, old)
        pool.heal()
        new = await self.wait_for_process_restart(pool, old, 5)
        self.assertEqual((new.identity.id, new.identity.generation, old.state), ("worker-0", 2, "gone"))
        await self.assert_process_restarted(pool, old)
        await self.assert_process_restarted(lambda: new, old)
        with self.assertRaisesRegex(AssertionError, "is running, and nobody has its place"):
            await self.assert_process_restarted(pool, other)

    async def test_chaos_of_several_kills(self) -> None:
        pool = Pool(self, 3)

        async def chaos() -> None:
            await self.kill_random_worker(pool)
            await self.kill_random_worker(pool)

        def well() -> bool:
            pool.heal()
            return len(target_of(pool).workers()) == 3

        found = await self.assert_chaos_resilient(pool, chaos, well)
        self.assertEqual(len(found.faults), 2)
        with self.assertRaisesRegex(AssertionError, "Pool .*, alive, failed to recover from chaos within 0 s: .*never"):
            await self.assert_chaos_resilient(pool, chaos, never, timeout=0)

    async def test_workers_that_have_ended_are_shown_in_a_table(self) -> None:
        pool = Pool(self, 2)
        first, second = target_of(pool).workers()
        await first.suspend()
        second.kill()
        await second.wait()
        table = r"1\. worker-0 \(pid \d+, generation 1\): stopped\s+2\. worker-1 \(pid \d+, generation 1\): gone"
        with self.assertRaisesRegex(AssertionError, r"<PoolTarget Pool .* has 1 workers, expected 2\s+" + table):
            await self.assert_child_count(pool, 2)
        with self.assertRaisesRegex(AssertionError, r"not all workers of <.*> are alive: worker-1\s+" + table):
            await self.assert_all_children_alive(pool)
        self.assertEqual(await self.get_active_child_count(pool), 1)
        await first.resume()

    async def test_places_that_have_no_names(self) -> None:
        pool = Pool(self, 2)
        pool.slots[1].id = pool.slots[0].id
        [old, _] = target_of(pool).workers()
        with self.assertRaisesRegex(UsageError, "has 2 workers called 'worker-0', so whose place is whose cannot be"):
            await self.wait_for_process_restart(pool, old)

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

    async def test_what_has_a_pid_stands_for_that_and_is_no_pool(self) -> None:
        class Facade:
            def __init__(self, pid: Pid) -> None:
                self.pid = pid

            def workers(self) -> Iterable[Any]:
                return []

        agent = await Agent.start_link(0, name="agent")
        self.assertEqual(target_of(Facade(agent)).identity.id, "agent")
        await self.assert_process_alive(Facade(agent))

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
        with self.assertRaisesRegex(AssertionError, "<PoolTarget ended .* is dead"):
            await self.assert_all_children_alive(Ended())
