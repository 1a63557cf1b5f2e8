"""Many sessions at once: none sees another, none waits for another without need, and all stay where they are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_pool import PythonPool, SessionPool

from tests.planted import Roaming, Serial
from tests.support import PATIENCE, POOL_SIZE, SIMPLE, PoolCase

# Names that somebody might have: of any language, long, empty, with what JSON has to escape.
SESSION_IDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "\x00", '{"id": 1}', "\\\"'", "a" * 4096, "\u2028", "../..", "\ud800"]),
)


class TestSessions(PoolCase):
    def test_ten_sessions_work_at_once(self) -> None:
        pool = self.start_pool()

        def work(number: int) -> list[str]:
            adapter = PythonPool(pool, f"concurrent_{number}")
            program = adapter.create_program({"signature": SIMPLE})
            for value in range(1, 6):
                self.assertEqual(adapter.execute_program(program, {"value": value}), {"value": value * 2})
            seen = adapter.list_programs()
            pool.end_session(adapter.session_id)
            return [program, *seen]

        results = self.in_threads(work, range(10))
        self.assertEqual([result[0] == result[-1] and len(result) == 2 for result in results], [True] * 10, results)
        self.assertEqual(pool.sessions(), {})

    def check_isolated(self, without: tuple[str, ...] = ()) -> None:
        pool = self.start_pool(2, without=without)
        adapters = [PythonPool(pool, f"user_{number}") for number in range(10)]
        for adapter in adapters:
            adapter.create_program({"id": f"program of {adapter.session_id}", "signature": SIMPLE})
        self.assertEqual(len(set(pool.sessions().values())), 2, "they share the workers")
        for adapter in adapters:
            self.assertEqual(adapter.list_programs(), [f"program of {adapter.session_id}"])

    def test_no_session_sees_the_programs_of_another(self) -> None:
        self.check_isolated()

    def test_a_worker_that_mixes_them_up_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "program of user_2"):
            self.check_isolated(("sessions",))

    def check_affinity(self, kind: type[SessionPool]) -> None:
        pool = self.start_pool(4, kind=kind)

        def work(number: int) -> set[int]:
            return {pool.execute_in_session(f"session_{number}", "ping")["pid"] for _ in range(20)}

        # Alone it would get the worker that has done the least, which is always another one.
        self.assertEqual(len(work(0)), 1)

        pids = self.in_threads(work, range(8))
        self.assertEqual([len(each) for each in pids], [1] * 8)

    def test_a_session_stays_on_its_worker(self) -> None:
        self.check_affinity(SessionPool)

    def test_a_pool_that_lets_sessions_roam_is_found(self) -> None:
        with self.assertRaises(AssertionError):
            self.check_affinity(Roaming)


class TestAnySession(PoolCase):
    def test_a_session_may_be_called_anything(self) -> None:
        pool = self.start_pool(2)

        @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(SESSION_IDS)
        def check(session: str) -> None:
            self.assertEqual(pool.execute_in_session(session, "ping")["session"], session)
            self.assertEqual(list(pool.sessions()), [session])
            pool.end_session(session)

        check()

    def test_what_json_cannot_say_is_the_callers_mistake(self) -> None:
        pool = self.start_pool(1)
        with self.assertRaisesRegex(TypeError, "not JSON serializable"):
            pool.execute_anonymous("echo", {"value": json})
        self.assertEqual(pool.execute_anonymous("ping")["status"], "ok")


class TestParallel(PoolCase):
    def check_parallel(self, kind: type[SessionPool], timeout: float) -> None:
        """Nobody measures: all workers have to be at work at the same time."""
        size = max(2, POOL_SIZE)
        pool, gate = self.start_pool(size, kind=kind), self.gate()
        held: list[Any] = [self.begin(pool.execute_anonymous, "hold", gate.args) for _ in range(size)]
        try:
            self.assertEqual(len(set(gate.wait_for(size, timeout=timeout))), size)
        finally:
            gate.close()
            for each in held:
                each.exception(PATIENCE)

    def test_all_workers_work_at_the_same_time(self) -> None:
        self.check_parallel(SessionPool, PATIENCE)

    def test_a_pool_that_locks_while_it_waits_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "1 workers are here at the same time, expected"):
            self.check_parallel(Serial, 0.3)
