"""The mock keeps the promises of a worker, so that what is tested with it is tested."""

from __future__ import annotations

import unittest
from typing import Any

from worker_pool import CallTimeout, Worker, WorkerLost

from supertester import IsolatedTestCase
from tests.support.contract import WorkerContract
from tests.support.mock_worker import MockWorker
from tests.support.pools import PoolCase


class TestMockWorker(WorkerContract, IsolatedTestCase):
    def start(self) -> Any:
        return MockWorker("w", 1)

    def test_it_has_all_that_a_worker_has(self) -> None:
        public = [name for name in vars(Worker) if not name.startswith("_")]
        self.assertEqual([name for name in public if not hasattr(MockWorker, name)], [])


class TestAForgetfulMock(unittest.TestCase):
    """A mock that promises more than it keeps is found by the contract."""

    def test_the_contract_fails_it(self) -> None:
        class NeverLost(MockWorker):
            def call(self, body: bytes, timeout: float) -> Any:
                try:
                    return super().call(body, timeout)
                except WorkerLost:
                    return {"status": "pong"}

        class Case(WorkerContract, IsolatedTestCase):
            def start(self) -> Any:
                return NeverLost("w", 1)

        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
        names = sorted(test.id().rpartition(".")[2] for test, _ in result.failures + result.errors)
        self.assertEqual(names, ["test_a_dead_one_is_lost", "test_it_is_stopped_once"])


class TestAPoolOfMocks(PoolCase):
    """The pool itself, without processes."""

    async def test_it_starts_as_many_workers_as_it_was_told_to(self) -> None:
        pool = await self.started(3, start=MockWorker)
        self.assertEqual([worker.id for worker in pool.workers()], ["worker-0", "worker-1", "worker-2"])

    async def test_a_dead_worker_is_replaced(self) -> None:
        pool = await self.started(2, start=MockWorker)
        [first, _] = pool.workers()
        first.kill()
        await self.replaced(pool, first)
        self.assertEqual([worker.generation for worker in pool.workers()], [2, 1])
        self.assertEqual(pool.execute("ping")["status"], "pong")

    async def test_a_frozen_worker_is_found_by_the_call_that_it_does_not_answer(self) -> None:
        pool = await self.started(2, start=MockWorker)
        [first, second] = pool.workers()
        first.frozen.set()
        self.assertEqual(pool.execute("ping", attempts=2, timeout=1.0)["worker"], second.id)
        await self.replaced(pool, first)
        self.assertEqual(self.status_of(first), -9)

    async def test_nonsense_is_refused(self) -> None:
        pool = await self.started(1, start=MockWorker)
        with self.assertRaisesRegex(ValueError, "at least one attempt, got attempts=0"):
            pool.execute("ping", attempts=0)
        with self.assertRaisesRegex(ValueError, "a pool needs a worker, .* got size=0 and threads=4"):
            self.pool(0)
        with self.assertRaisesRegex(ValueError, "'sticky' is not a valid Affinity"):
            self.pool(1, affinity="sticky")

    async def test_many_calls_at_once(self) -> None:
        pool = await self.started(2, start=MockWorker)
        outcomes = await self.run_in_threads(10, lambda number: pool.execute("echo", {"number": number}))
        self.assertEqual([outcome.unwrap()["number"] for outcome in outcomes], list(range(10)))

    async def test_what_has_been_tried_is_told_when_no_other_worker_is_there(self) -> None:
        pool = await self.started(1, start=MockWorker, queue_timeout=0.0)
        pool.workers()[0].frozen.set()
        with self.assertRaisesRegex(CallTimeout, "did not answer in time"):
            pool.execute("ping", attempts=2, timeout=0.1)
