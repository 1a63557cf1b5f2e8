"""The mock keeps the promises of a worker, so that what is tested with it is tested."""

from __future__ import annotations

import unittest
from queue import SimpleQueue
from typing import Any

from worker_pool import CallTimeout, Worker, WorkerLost, WorkerPool

from supertester import HarnessMixin, IsolatedTestCase
from tests.support.contract import WorkerContract
from tests.support.mock_worker import MockWorker


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
        unittest.TestLoader().loadTestsFromTestCase(Case).run(result)
        names = sorted(test.id().rpartition(".")[2] for test, _ in result.failures + result.errors)
        self.assertEqual(names, ["test_a_dead_one_is_lost", "test_it_is_stopped_once"])


class TestAPoolOfMocks(HarnessMixin, IsolatedTestCase):
    """The pool itself, without processes."""

    def pool(self, size: int, **options: Any) -> WorkerPool:
        self.events: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
        pool = WorkerPool(size, start=MockWorker, on_event=lambda *event: self.events.put(event), **options)
        self.addCleanup(pool.close)
        return pool.start()

    def told(self, wanted: str) -> dict[str, Any]:
        """Return the details of the next event of that name."""
        while True:
            name, details = self.events.get(timeout=20)
            if name == wanted:
                return details

    def test_it_starts_as_many_workers_as_it_was_told_to(self) -> None:
        pool = self.pool(3)
        self.assertEqual([worker.id for worker in pool.workers()], ["worker-0", "worker-1", "worker-2"])

    def test_a_dead_worker_is_replaced(self) -> None:
        pool = self.pool(2)
        pool.workers()[0].kill()
        self.assertEqual(self.told("worker_down")["status"], -9)
        self.assertEqual(self.told("worker_ready")["generation"], 2)
        self.assertEqual([worker.generation for worker in pool.workers()], [2, 1])
        self.assertEqual(pool.execute("ping")["status"], "pong")

    def test_a_frozen_worker_is_found_by_the_call_that_it_does_not_answer(self) -> None:
        pool = self.pool(2)
        [first, second] = pool.workers()
        first.frozen.set()
        answers = {pool.execute("ping", attempts=2, timeout=0.4)["worker"] for _ in range(2)}
        self.assertIn(second.id, answers)
        self.assertEqual(pool.retries, 1)
        self.assertEqual(self.told("worker_down"), {**self.about(first), "status": -9, "sessions_lost": 0})

    def about(self, worker: Any) -> dict[str, Any]:
        return {"id": worker.id, "generation": worker.generation, "pid": worker.pid}

    async def test_many_calls_at_once(self) -> None:
        pool = self.pool(2)
        outcomes = await self.run_in_threads(10, lambda number: pool.execute("echo", {"number": number}))
        self.assertEqual([outcome.unwrap()["number"] for outcome in outcomes], list(range(10)))

    def test_what_has_been_tried_is_told_when_no_other_worker_is_there(self) -> None:
        pool = self.pool(1, queue_timeout=0.0)
        pool.workers()[0].frozen.set()
        with self.assertRaisesRegex(CallTimeout, "did not answer in time"):
            pool.execute("ping", attempts=2, timeout=0.1)

    def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "at least one attempt, got attempts=0"):
            self.pool(1).execute("ping", attempts=0)
        with self.assertRaisesRegex(ValueError, "a pool needs a worker, .* got size=0 and threads=4"):
            self.pool(0)
        with self.assertRaisesRegex(ValueError, "'sticky' is not a valid Affinity"):
            self.pool(1, affinity="sticky")
