"""Which sessions a pool knows, and where they live."""

from __future__ import annotations

from threading import Event

from session_pool import PythonPort, SessionLost, SessionNotFound, SessionPool

from supertester.targets.stdio import MockPort
from tests.support import PATIENCE, PoolCase


class TestSessions(PoolCase):
    def setUp(self) -> None:
        self.mock = MockPort()
        self.mock.healthy()
        self.mock.allow_command("end_session", {"dropped": 0})
        self.pool = self.start_pool(2, port_factory=lambda: PythonPort(*self.mock.pipes()))

    def test_sessions_are_known_from_their_first_call_on(self) -> None:
        for session in ("session_1", "session_2", "session_1"):
            self.pool.execute_in_session(session, "ping")
        sessions = self.pool.sessions()
        self.assertEqual(set(sessions), {"session_1", "session_2"})
        self.assertEqual(len(set(sessions.values())), 2, "a new session goes to the worker with the fewest")

    def test_a_session_that_has_ended_is_forgotten(self) -> None:
        self.pool.execute_in_session("temp_session", "ping")
        self.pool.end_session("temp_session")
        self.assertEqual(self.pool.sessions(), {})
        told = [each.message["session"] for each in self.mock.history() if each.command == "end_session"]
        self.assertEqual(told, ["temp_session"])

    def test_a_session_that_never_was_cannot_end(self) -> None:
        with self.assertRaisesRegex(SessionNotFound, "no session 'ghost_session'"):
            self.pool.end_session("ghost_session")

    def test_all_sessions_can_be_ended_at_once(self) -> None:
        for number in range(5):
            self.pool.execute_in_session(f"session_{number}", "ping")
        self.assertEqual(self.pool.end_all_sessions(), 5)
        self.assertEqual((self.pool.sessions(), self.pool.status()["sessions"]), ({}, 0))

    def test_calls_of_nobody_begin_no_session(self) -> None:
        self.pool.execute_anonymous("ping")
        self.assertEqual(self.pool.sessions(), {})


class TestLoss(PoolCase):
    def test_a_session_is_told_once_that_it_was_lost(self) -> None:
        mock = MockPort()
        mock.healthy()
        pool: SessionPool = self.start_pool(1, port_factory=lambda: PythonPort(*mock.pipes()))
        pool.execute_in_session("ann", "ping")
        mock.simulate_crash("boom")
        with self.assertRaisesRegex(Exception, "closed the pipe"):
            pool.execute_anonymous("boom")
        with self.assertRaisesRegex(SessionLost, "the worker that the session 'ann' lived on has died"):
            pool.execute_in_session("ann", "ping")
        self.assertEqual(pool.execute_in_session("ann", "ping"), {"status": "ok"})


class TestEnds(PoolCase):
    def test_a_session_that_begins_again_while_it_ends_stays_in_one_place(self) -> None:
        mock = MockPort()
        mock.healthy()
        pool = self.start_pool(2, port_factory=lambda: PythonPort(*mock.pipes()))
        pool.execute_in_session("ann", "ping")
        released = Event()
        mock.expect_command("end_session", lambda _: {"dropped": int(released.wait(PATIENCE))})
        ending = self.begin(pool.end_session, "ann")
        self.assertTrue(pool.await_status(lambda status: status["busy"] == 1))
        again = self.begin(pool.execute_in_session, "ann", "ping")
        self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
        released.set()
        ending.result(PATIENCE)
        self.assertEqual(again.result(PATIENCE), {"status": "ok"})
        self.assertEqual([*pool.sessions()], ["ann"])
        self.assertEqual([worker.id for worker in pool.workers() if "ann" in worker.sessions], [pool.sessions()["ann"]])
