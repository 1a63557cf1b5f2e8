"""Who gets which worker: step by step, without workers."""

from __future__ import annotations

from worker_pool import (
    Affinity,
    PoolClosed,
    QueueTimeout,
    Saturated,
    SessionLost,
    SessionWorkerUnavailable,
    WorkerPool,
)
from worker_pool.scheduler import Scheduler, Ticket

from supertester import IsolatedTestCase
from tests.support.mock_worker import MockWorker


class SchedulerCase(IsolatedTestCase):
    def scheduler(
        self, *workers: str, affinity: str = "strict_queue", capacity: int = 1, max_queue: int = 10
    ) -> Scheduler:
        scheduler = Scheduler(Affinity(affinity), max_queue)
        for worker in workers:
            scheduler.join(worker, capacity)
        return scheduler

    def worker_of(self, ticket: Ticket) -> object:
        return ticket.seat.worker if ticket.seat is not None else None


class TestPicking(SchedulerCase):
    def test_the_least_busy_worker_is_picked_and_among_equals_the_one_that_rested_longest(self) -> None:
        scheduler = self.scheduler("a", "b", capacity=2)
        tickets = [scheduler.enter() for _ in range(4)]
        self.assertEqual([self.worker_of(ticket) for ticket in tickets], ["a", "b", "a", "b"])
        scheduler.release(tickets[1])
        self.assertEqual(self.worker_of(scheduler.enter()), "b")

    def test_a_suspect_gets_nothing_until_it_is_trusted(self) -> None:
        scheduler = self.scheduler("a", "b")
        self.assertTrue(scheduler.suspect("a"))
        self.assertFalse(scheduler.suspect("a"))
        self.assertEqual(self.worker_of(scheduler.enter()), "b")
        waiting = scheduler.enter()
        self.assertIsNone(waiting.seat)
        self.assertTrue(scheduler.trust("a"))
        self.assertFalse(scheduler.trust("a"))
        self.assertEqual(self.worker_of(waiting), "a")

    def test_a_worker_that_failed_the_call_does_not_get_it_again(self) -> None:
        scheduler = self.scheduler("a", "b", capacity=4)
        self.assertEqual({self.worker_of(scheduler.enter(avoid={"a"})) for _ in range(4)}, {"b"})
        waiting = scheduler.enter(avoid={"a", "b"})
        self.assertIsNone(waiting.seat)
        scheduler.join("a of the next generation", 1)
        self.assertEqual(self.worker_of(waiting), "a of the next generation")


class TestAffinity(SchedulerCase):
    def test_a_session_stays_with_its_worker(self) -> None:
        scheduler = self.scheduler("a", "b", capacity=2)
        first = scheduler.enter("s")
        scheduler.release(first)
        self.assertEqual({self.worker_of(scheduler.enter("s")) for _ in range(2)}, {"a"})
        self.assertEqual(scheduler.sessions(), {"s": "a"})

    def test_hint_goes_elsewhere_when_the_worker_is_busy(self) -> None:
        scheduler = self.scheduler("a", "b", affinity="hint")
        self.assertEqual([self.worker_of(scheduler.enter("s")) for _ in range(2)], ["a", "b"])
        self.assertEqual(scheduler.sessions(), {"s": "a"})

    def test_hint_goes_elsewhere_when_the_worker_has_failed_the_call(self) -> None:
        scheduler = self.scheduler("a", "b", affinity="hint")
        scheduler.release(scheduler.enter("s"))
        self.assertEqual(self.worker_of(scheduler.enter("s", avoid={"a"})), "b")

    def test_strict_queue_waits_for_it(self) -> None:
        scheduler = self.scheduler("a", "b")
        first, second = scheduler.enter("s"), scheduler.enter("s")
        self.assertIsNone(second.seat)
        scheduler.release(first)
        self.assertEqual(self.worker_of(second), "a")

    def test_strict_fail_fast_does_not_wait(self) -> None:
        scheduler = self.scheduler("a", "b", affinity="strict_fail_fast")
        scheduler.enter("s")
        with self.assertRaisesRegex(SessionWorkerUnavailable, "the worker of session 's' is busy"):
            scheduler.enter("s")
        self.assertEqual(scheduler.waiting, 0)

    def test_a_lost_session_is_told_once_and_begins_anew(self) -> None:
        scheduler = self.scheduler("a", "b")
        first = scheduler.enter("s")
        scheduler.release(first)
        self.assertEqual(scheduler.leave("a"), ["s"])
        with self.assertRaisesRegex(SessionLost, "session 's' was lost with its worker"):
            scheduler.enter("s")
        self.assertEqual(self.worker_of(scheduler.enter("s")), "b")

    def test_calls_that_wait_for_a_lost_session_fail_at_once_and_that_is_the_telling(self) -> None:
        scheduler = self.scheduler("a", "b")
        scheduler.enter("s")
        waiting = scheduler.enter("s")
        scheduler.leave("a")
        self.assertIsInstance(waiting.error, SessionLost)
        self.assertEqual(self.worker_of(scheduler.enter("s")), "b")

    def test_sessions_can_be_forgotten(self) -> None:
        scheduler = self.scheduler("a")
        scheduler.release(scheduler.enter("s"))
        self.assertFalse(scheduler.forget("s"))
        scheduler.release(scheduler.enter("s"))
        scheduler.leave("a")
        self.assertEqual(scheduler.lost(), ["s"])
        self.assertTrue(scheduler.forget("s"))
        self.assertEqual((scheduler.lost(), scheduler.sessions()), ([], {}))


class TestQueue(SchedulerCase):
    def test_first_come_first_served_among_those_that_may_have_the_worker(self) -> None:
        scheduler = self.scheduler("a", "b")
        pinned, other = scheduler.enter("s"), scheduler.enter()
        waiting = [scheduler.enter("s"), scheduler.enter("s"), scheduler.enter(), scheduler.enter()]
        scheduler.release(other)
        self.assertEqual([self.worker_of(ticket) for ticket in waiting], [None, None, "b", None])
        scheduler.release(pinned)
        self.assertEqual([self.worker_of(ticket) for ticket in waiting], ["a", None, "b", None])
        scheduler.release(waiting[0])
        self.assertEqual([self.worker_of(ticket) for ticket in waiting], ["a", "a", "b", None])

    def test_a_full_queue_refuses_at_once(self) -> None:
        scheduler = self.scheduler("a", max_queue=2)
        for _ in range(3):
            scheduler.enter()
        with self.assertRaisesRegex(Saturated, "2 calls wait already"):
            scheduler.enter()
        self.assertEqual(scheduler.waiting, 2)

    def test_a_call_that_gave_up_never_gets_a_worker(self) -> None:
        scheduler = self.scheduler("a")
        first, second, third = (scheduler.enter() for _ in range(3))
        self.assertTrue(scheduler.withdraw(second))
        scheduler.release(first)
        self.assertEqual((self.worker_of(second), self.worker_of(third)), (None, "a"))
        self.assertFalse(scheduler.withdraw(third))

    def test_calls_that_time_out_leave_nothing_in_the_queue(self) -> None:
        """1,200 calls give up, none is executed, and the queue is as short as before."""
        pool = WorkerPool(1, start=MockWorker, threads=1, queue_timeout=0.0)
        self.addCleanup(pool.close)
        pool.start()
        stream = pool.execute_stream("counts", {"n": 2})  # Occupies the worker until it is closed.
        self.assertEqual(next(stream), 0)
        for _ in range(1_200):
            with self.assertRaisesRegex(QueueTimeout, "none of 1 workers was free in time; 0 wait"):
                pool.execute("ping")
        self.assertEqual(pool._scheduler.waiting, 0)
        stream.close()
        self.assertEqual(pool.execute("stats", timeout=5.0)["executed"], 2)

    def test_when_it_is_closed_all_that_wait_and_come_fail(self) -> None:
        scheduler = self.scheduler("a")
        scheduler.enter()
        waiting = scheduler.enter()
        scheduler.close(PoolClosed("over"))
        self.assertIsInstance(waiting.error, PoolClosed)
        errors = []
        for _ in range(2):
            with self.assertRaises(PoolClosed) as caught:
                scheduler.enter()
            errors.append(caught.exception)
        self.assertIsNot(*errors)  # So that no error is kept that has the tracebacks of all callers.
