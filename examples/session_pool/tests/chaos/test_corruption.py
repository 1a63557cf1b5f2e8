"""Answers that are damaged on their way, and workers whose memory is: noticed, accounted for, and got over."""

from __future__ import annotations

import struct
from typing import Any

from session_pool import PortClosed, PortTimeout, ProtocolViolation, RemoteError, SessionPool, SessionPoolError

from supertester.chaos import PipeFault, PipeProxy
from tests.planted import Careless
from tests.support import PATIENCE, SIMPLE, PoolCase

GARBAGE = struct.pack(">I", 5) + b"oops!"


class TestPipes(PoolCase):
    """A proxy stands in the pipes from the workers to the pool."""

    def setUp(self) -> None:
        self.proxy = PipeProxy()
        self.pool = self.start_pool(2, wrap=self.proxy.wrap, max_restarts=1_000)

    def check_replaced(self, fault: PipeFault, kind: type[SessionPoolError], timeout: float = PATIENCE) -> None:
        """See that the next call fails in one way, and that the worker is replaced."""
        before = self.pool.status()["metrics"].get("restarts", 0)
        with self.assertRaises(kind):
            self.pool.execute_anonymous("ping", timeout=timeout)
        self.assertEqual(len(fault.hits), 1, "no fault was delivered")
        fault.remove()
        self.await_restarts(self.pool, before + 1)
        self.check_healthy()

    def check_healthy(self) -> None:
        self.assertTrue(self.pool.await_size(2, PATIENCE))
        self.assertEqual(set(self.pool.health_check(PATIENCE).values()), {"healthy"})

    def test_garbage_between_answers(self) -> None:
        self.check_replaced(self.proxy.insert(GARBAGE), ProtocolViolation)

    def test_an_answer_that_breaks_off(self) -> None:
        self.check_replaced(self.proxy.cut(keep=7), ProtocolViolation)

    def test_no_answer_at_all(self) -> None:
        self.check_replaced(self.proxy.silence(count=1), PortTimeout, timeout=0.5)

    def test_an_answer_that_comes_twice_is_counted_and_dropped(self) -> None:
        fault = self.proxy.duplicate()
        pid = self.pool.execute_anonymous("ping")["pid"]
        self.assertEqual(len(fault.hits), 1)
        for number in range(4):
            self.assertEqual(self.pool.execute_anonymous("echo", {"value": number}), {"value": number})
        self.assertEqual(sum(worker.port.late for worker in self.pool.workers()), 1)
        self.assertIn(pid, {worker.pid for worker in self.pool.workers()}, "that is no reason to replace a worker")

    def test_flipped_bits_are_noticed_or_shown_to_be_silent(self) -> None:
        """A bit of a text can flip without anybody's notice; the account says how often that was so."""
        delivered = detected = silent = 0
        for number in range(20):
            value: Any = f"number {number}"
            self.check_healthy()  # So that it is no answer to a first ping that the fault hits.
            with self.proxy.flip() as fault:
                try:
                    answer = self.pool.execute_anonymous("echo", {"value": value}, timeout=0.1)
                except (ProtocolViolation, PortTimeout, PortClosed, RemoteError, KeyError):
                    answer = None
            if fault.hits:  # A machine may be too slow for an answer in that time.
                delivered += 1
                detected += answer is None
                silent += answer not in (None, {"value": value})
        self.assertGreaterEqual(delivered, 10)
        self.assertEqual(detected + silent, delivered, "each of them has done something")
        self.assertGreater(detected, silent)
        self.check_healthy()

    def test_a_pool_that_keeps_a_worker_in_spite_of_that_is_found(self) -> None:
        self.pool = self.start_pool(2, wrap=self.proxy.wrap, kind=Careless)
        with self.assertRaises(AssertionError):
            self.check_silence_within(0.3)

    def check_silence_within(self, seconds: float) -> None:
        fault = self.proxy.silence(count=1)
        with self.assertRaises(PortTimeout):
            self.pool.execute_anonymous("ping", timeout=0.5)
        self.assertEqual(len(fault.hits), 1)
        self.await_restarts(self.pool, 1, seconds)


class TestDelays(PoolCase):
    def test_answers_that_come_late_are_answers(self) -> None:
        proxy = PipeProxy()
        pool: SessionPool = self.start_pool(2, wrap=proxy.wrap)
        with proxy.latency(150) as late:
            self.assertEqual(pool.execute_in_session("latency_test", "ping", timeout=PATIENCE)["status"], "ok")
            with self.assertRaises(PortTimeout):
                pool.execute_anonymous("ping", timeout=0.05)
        self.assertEqual(late.hits[0].outcome, "150 ms late")
        self.assertEqual(pool.execute_anonymous("ping", timeout=PATIENCE)["status"], "ok")


class TestMemory(PoolCase):
    def test_a_worker_that_has_lost_its_memory_says_so_with_each_call(self) -> None:
        pool = self.start_pool(1)
        pool.execute_in_session("ann", "create_program", {"signature": SIMPLE})
        pool.execute_in_session("ann", "forget")
        with self.assertRaisesRegex(RemoteError, "AttributeError"):
            pool.execute_in_session("ann", "list_programs")
        [worker] = pool.workers()
        worker.port.kill()
        self.await_restarts(pool, 1)
        self.assertEqual(pool.execute_anonymous("list_programs"), [])
