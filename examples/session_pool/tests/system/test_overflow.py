"""More calls than workers: they wait, or get a temporary one, or are told that there is none."""

from __future__ import annotations

from session_pool import PoolSaturated, PoolTimeout, SessionPool

from tests.planted import Generous, Late
from tests.support import PATIENCE, PoolCase


class TestQueue(PoolCase):
    def test_a_call_waits_for_a_worker(self) -> None:
        pool = self.start_pool(1)
        with self.saturated(pool) as gate:
            waiting = self.begin(pool.execute_in_session, "session_2", "ping")
            self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
            self.assertFalse(waiting.done())
            gate.open()
            self.assertEqual(waiting.result(PATIENCE)["session"], "session_2")

    def check_never_executed(self, kind: type[SessionPool]) -> None:
        pool = self.start_pool(1, kind=kind, checkout_timeout=0.1)
        with self.saturated(pool):
            with self.assertRaisesRegex(PoolTimeout, r"no worker was free within 0.1 s; .*'busy': 1"):
                pool.execute_in_session("waiter", "ping")
            with self.assertRaisesRegex(PoolTimeout, "within 0.05 s"):
                pool.execute_in_session("waiter", "ping", pool_timeout=0.05)
        self.assertEqual(pool.status()["queued"], 0)
        requests = pool.execute_anonymous("get_stats")["requests"]
        self.assertEqual(requests, {"ping": 1, "hold": 1, "get_stats": 1}, "the one ping is that of the start")
        self.assertNotIn("waiter", pool.sessions())

    def test_a_call_that_has_waited_too_long_is_never_executed(self) -> None:
        self.check_never_executed(SessionPool)

    def test_a_pool_that_executes_it_later_is_found(self) -> None:
        with self.assertRaises(AssertionError):
            self.check_never_executed(Late)

    def test_the_deadline_of_a_call_counts_its_waiting(self) -> None:
        pool = self.start_pool(1)
        with self.saturated(pool), self.assertRaises(PoolTimeout):
            pool.execute_anonymous("ping", timeout=0.05)

    def test_a_thousand_calls_that_give_up_leave_nothing(self) -> None:
        pool = self.start_pool(1, max_queue=2_000)
        with self.saturated(pool):
            for number in range(1_200):
                with self.assertRaises(PoolTimeout):
                    pool.execute_in_session(f"session_{number}", "ping", pool_timeout=0)
            self.assertEqual(pool.status()["queued"], 0)
        self.assertEqual(pool.sessions(), {})

    def test_a_full_queue_refuses_at_once(self) -> None:
        pool = self.start_pool(1, max_queue=1)
        with self.saturated(pool):
            waiting = self.begin(pool.execute_anonymous, "ping")
            self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
            with self.assertRaisesRegex(PoolSaturated, "1 calls are waiting already"):
                pool.execute_anonymous("ping")
        self.assertEqual(waiting.result(PATIENCE)["status"], "ok")

    def test_who_waits_for_one_worker_does_not_hold_up_the_others(self) -> None:
        pool, gate = self.start_pool(2), self.gate()
        held = [self.begin(pool.execute_in_session, name, "hold", gate.args) for name in ("ann", "bob")]
        gate.wait_for(2)
        first = self.begin(pool.execute_in_session, "ann", "ping")
        self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
        second = self.begin(pool.execute_anonymous, "ping")
        self.assertTrue(pool.await_status(lambda status: status["queued"] == 2))
        home = pool.sessions()["ann"]
        [worker_of_bob] = [worker for worker in pool.workers() if worker.worker_id != home]
        worker_of_bob.port.kill()  # What comes in its place may serve anybody but the session of the other.
        self.assertNotEqual(second.result(PATIENCE)["pid"], worker_of_bob.pid)
        self.assertFalse(first.done())
        gate.open()
        self.assertEqual(first.result(PATIENCE)["session"], "ann")
        self.assertIsNone(held[0].exception(PATIENCE))


class TestOverflow(PoolCase):
    def check_grows_and_retires(self, kind: type[SessionPool], within: float = PATIENCE) -> None:
        pool, gate = self.start_pool(1, overflow=2, kind=kind), self.gate()
        held = [self.begin(pool.execute_anonymous, "hold", gate.args) for _ in range(3)]
        self.assertEqual(len(set(gate.wait_for(3))), 3)
        self.assertEqual((pool.status()["size"], pool.status()["temporary"]), (3, 2))
        gate.open()
        self.assertEqual([each.exception(PATIENCE) for each in held], [None] * 3)
        self.assertTrue(pool.await_size(1, within), pool.status())

    def test_the_pool_grows_while_all_are_busy_and_shrinks_again(self) -> None:
        self.check_grows_and_retires(SessionPool)

    def test_a_pool_that_does_not_shrink_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "'size': 3"):
            self.check_grows_and_retires(Generous, within=0.2)

    def test_beyond_the_overflow_calls_wait(self) -> None:
        pool = self.start_pool(1, overflow=1)
        with self.saturated(pool, 2), self.assertRaises(PoolTimeout):
            pool.execute_anonymous("ping", pool_timeout=0)

    def test_a_temporary_worker_stays_for_the_session_that_lives_on_it(self) -> None:
        pool = self.start_pool(1, overflow=1)
        with self.saturated(pool):
            pid = pool.execute_in_session("ann", "ping")["pid"]
        self.assertEqual(pool.execute_in_session("ann", "ping")["pid"], pid)
        pool.end_session("ann")
        self.assertTrue(pool.await_size(1))
