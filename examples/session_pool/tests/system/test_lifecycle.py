"""Programs and sessions on real workers, from the first call to the last."""

from __future__ import annotations

from signal import SIGCONT, SIGSTOP

from session_pool import PythonPool, RemoteError, SessionNotFound

from tests.generators import bulk_operations
from tests.support import PATIENCE, POOL_SIZE, SIMPLE, PoolCase

COMMANDS = ("create_program", "execute_program", "list_programs", "program_info", "delete_program")


class TestLifecycle(PoolCase):
    def test_a_program_is_created_run_and_deleted(self) -> None:
        pool = self.start_pool()
        adapter = PythonPool(pool, "ann")
        program = adapter.create_program({"signature": {"inputs": ["query"], "outputs": ["answer"]}})
        self.assertEqual(adapter.execute_program(program, {"query": "test"}), {"answer": "TEST"})
        self.assertEqual(adapter.get_program_info(program)["executions"], 1)
        adapter.delete_program(program)
        with self.assertRaisesRegex(RemoteError, "program_not_found"):
            adapter.execute_program(program, {"query": "test"})
        stats = pool.execute_in_session("ann", "get_stats")
        self.assertEqual(stats["programs"], {"ann": 0})
        self.assertEqual(stats["requests"]["execute_program"], 2)
        self.assertTrue(adapter.health_check())
        self.assertEqual(adapter.get_stats()["size"], POOL_SIZE)

    def test_the_worker_forgets_a_session_that_has_ended(self) -> None:
        pool = self.start_pool(1)
        PythonPool(pool, "ann").create_program({"signature": SIMPLE})
        self.assertEqual(pool.execute_anonymous("get_stats")["programs"], {"ann": 1})
        pool.end_session("ann")
        self.assertEqual(pool.execute_anonymous("get_stats")["programs"], {})
        with self.assertRaises(SessionNotFound):
            pool.end_session("ann")

    def test_a_worker_is_the_process_that_it_says(self) -> None:
        pool = self.start_pool()
        pids = {worker.pid for worker in pool.workers()}
        self.assertEqual(len(pids), POOL_SIZE)
        self.assertIn(pool.execute_anonymous("ping")["pid"], pids)
        self.assertEqual(set(pool.health_check(PATIENCE).values()), {"healthy"})


class TestBulk(PoolCase):
    def test_any_possible_work_can_be_done(self) -> None:
        pool, work = self.start_pool(), bulk_operations(1_000, seed=self.isolation.seed)
        for operation in work:
            pool.execute_in_session(*operation)
        self.assertEqual(pool.status()["metrics"]["succeeded"], 1_000)
        self.assertEqual({each.command for each in work}, {*COMMANDS})

    def test_a_seed_makes_the_same_work_again(self) -> None:
        self.assertEqual(bulk_operations(50, seed=7), bulk_operations(50, seed=7))
        self.assertNotEqual(bulk_operations(50, seed=7), bulk_operations(50, seed=8))


class TestHealth(PoolCase):
    def test_a_worker_that_is_stopped_is_unhealthy_until_it_goes_on(self) -> None:
        pool = self.start_pool(1)
        [worker] = pool.workers()
        worker.port.kill(SIGSTOP)
        self.assertEqual(pool.health_check(timeout=0.05), {"worker_1": "unhealthy"})
        self.assertEqual(worker.health_failures, 1)
        worker.port.kill(SIGCONT)
        self.assertEqual(pool.health_check(PATIENCE), {"worker_1": "healthy"})
        self.assertEqual(worker.health_failures, 0)

    def test_a_worker_that_has_something_to_do_is_busy(self) -> None:
        pool = self.start_pool(2)
        with self.saturated(pool, 1):
            self.assertEqual(sorted(pool.health_check(PATIENCE).values()), ["busy", "healthy"])
