"""Sessions: their variables, their workers, and their end."""

from __future__ import annotations

import os
import signal
from typing import Any

from worker_pool import SessionLost, SessionWorkerUnavailable, ToolError, wire

from supertester.linear import History
from supertester.targets import Sessions
from tests.support.pools import PoolCase
from tests.support.strange import strange


class Recorded:
    """A variable of a session; what is done with it is written down."""

    def __init__(self, pool: Any, session: str) -> None:
        self._pool = pool
        self._session = session
        self.history = History()

    def work(self, caller: int) -> None:
        self.write(caller, caller + 1)
        self.read(caller)

    def write(self, caller: int, value: int) -> None:
        token = self.history.invoke(caller, "write", value)
        self._pool.execute("set_variable", {"name": "x", "value": value}, session=self._session)
        self.history.complete(token)

    def read(self, caller: int) -> None:
        token = self.history.invoke(caller, "read")
        found = self._pool.execute("get_variable", {"name": "x"}, session=self._session)
        self.history.complete(token, found["value"])


class Forgetful(Recorded):
    """A client that says that it has written, and has not always."""

    def write(self, caller: int, value: int) -> None:
        if value % 3:
            super().write(caller, value)
        else:
            self.history.complete(self.history.invoke(caller, "write", value))


class TestWorkflow(PoolCase):
    async def session(self, **options: Any) -> Any:
        pool = await self.started(2, threads=10, **options)
        pool.execute("initialize_session", session="s")
        pool.execute("register_variable", {"name": "x", "initial_value": 0}, session="s")
        return pool

    async def test_ten_updates_at_once(self) -> None:
        """All succeed, one worker serves them, and the value is that of the last one in the order of the worker."""
        pool = await self.session()
        outcomes = await self.run_in_threads(
            10,
            lambda number: pool.execute("set_variable", {"name": "x", "value": number + 1}, session="s"),
            timeout=30.0,
        )
        updates = [outcome.unwrap() for outcome in outcomes]
        self.assertEqual(len({update["pid"] for update in updates}), 1)
        self.assertEqual(sorted(update["update"] for update in updates), list(range(2, 12)))
        last = max(updates, key=lambda update: update["update"])
        self.assertEqual(pool.execute("get_variable", {"name": "x"}, session="s")["value"], last["value"])

    async def test_reads_and_writes_at_once_look_as_if_they_took_turns(self) -> None:
        variable = Recorded(await self.session(), "s")
        for outcome in await self.run_in_threads(10, variable.work, timeout=30.0):
            outcome.unwrap()
        self.assertEqual(len(variable.history.operations()), 20)
        self.assert_linearizable(variable.history, "register")

    async def test_a_lost_update_is_found(self) -> None:
        variable = Forgetful(await self.session(), "s")
        for caller in range(3):
            variable.work(caller)
        with self.assertRaisesRegex(AssertionError, "no order of these operations is one of a register"):
            self.assert_linearizable(variable.history, "register")


class TestAffinity(PoolCase):
    async def busy_session(self, affinity: str) -> tuple[Any, Any]:
        """Return a pool of two workers, and a stream that occupies the worker of the session ``s``."""
        pool = await self.started(2, threads=1, affinity=affinity)
        pool.execute("initialize_session", session="s")
        pool.execute("register_variable", {"name": "x", "initial_value": 5}, session="s")
        stream = pool.execute_stream("counts", {"n": 2, "gap": 60}, session="s")
        self.assertEqual(next(stream), 0)
        return pool, stream

    async def test_a_hint_is_no_promise(self) -> None:
        """A busy worker's session is asked for elsewhere, where nobody knows it."""
        pool, stream = await self.busy_session("hint")
        with self.assertRaisesRegex(ToolError, r"NOT_FOUND: worker-\d has no session 's'"):
            pool.execute("get_variable", {"name": "x"}, session="s")
        stream.close()
        self.assertEqual(pool.execute("get_variable", {"name": "x"}, session="s")["value"], 5)

    async def test_strict_queue_waits(self) -> None:
        pool, stream = await self.busy_session("strict_queue")

        def work(number: int) -> Any:
            if number == 0:
                return pool.execute("get_variable", {"name": "x"}, session="s")["value"]
            pool.execute("ping")  # The other worker is free for who has no session.
            return stream.close()

        outcomes = await self.run_in_threads(2, work, timeout=30.0)
        self.assertEqual([outcome.unwrap() for outcome in outcomes], [5, None])

    async def test_strict_fail_fast_does_not_wait(self) -> None:
        pool, stream = await self.busy_session("strict_fail_fast")
        with self.assertRaises(SessionWorkerUnavailable):
            pool.execute("get_variable", {"name": "x"}, session="s")
        stream.close()
        self.assertEqual(pool.execute("get_variable", {"name": "x"}, session="s")["value"], 5)

    async def test_a_session_that_is_lost_with_its_worker_is_told_once(self) -> None:
        pool = await self.started(2)
        pool.execute("initialize_session", session="s")
        [old] = [worker for worker in pool.workers() if worker.id == pool.sessions()["s"]]
        os.kill(old.pid, signal.SIGKILL)
        await self.replaced(pool, old)
        with self.assertRaisesRegex(SessionLost, "session 's' was lost with its worker"):
            pool.execute("get_variable", {"name": "x"}, session="s")
        pool.execute("initialize_session", session="s")
        self.assertIn("s", pool.sessions())


class TestCleanup(PoolCase):
    async def test_fifty_sessions_on_four_workers_one_of_which_is_killed(self) -> None:
        pool = await self.started(4)
        for number in range(50):
            pool.execute("initialize_session", session=f"session-{number}")
        victim = pool.workers()[0]
        doomed = [session for session, worker in pool.sessions().items() if worker == victim.id]
        self.assertIn(len(doomed), {12, 13})
        os.kill(victim.pid, signal.SIGKILL)
        await self.replaced(pool, victim)

        cleanup = pool.cleanup_sessions()

        self.assertEqual((sorted(cleanup.lost), cleanup.errors), (sorted(doomed), {}))
        self.assertEqual(len(cleanup.ended), 50 - len(doomed))
        self.assertEqual([self.sessions_of(worker) for worker in pool.workers()], [0, 0, 0, 0])
        self.assertEqual(pool.sessions(), {})

    def opened(self, pool: Any) -> Sessions:
        """Return what ends all sessions that are opened with it, and counts those that the workers have."""

        def open_session(session: str) -> str:
            pool.execute("initialize_session", session=session)
            return session

        def count() -> int:
            return sum(self.sessions_of(worker) for worker in pool.workers())

        def end(session: str) -> None:
            pool.execute("cleanup_session", session=session, attempts=2)

        return Sessions(end, open=open_session, count=count, lost=SessionLost, timeout=30.0)

    async def test_the_sessions_of_a_test_are_ended_and_counted(self) -> None:
        pool = await self.started(2)
        sessions = self.opened(pool)
        for number in range(10):
            await sessions.open(f"session-{number}")
        victim = pool.workers()[0]
        os.kill(victim.pid, signal.SIGKILL)
        await self.replaced(pool, victim)
        report = await self.assert_all_sessions_ended(sessions)
        self.assertEqual((len(report.ended), len(report.lost), report.left), (5, 5, 0))

    async def test_sessions_that_stay_are_found(self) -> None:
        pool = await self.started(1, command=strange("keeps sessions"))
        sessions = self.opened(pool)
        await sessions.open("s")
        with self.assertRaisesRegex(AssertionError, "1 of 1 sessions could not be ended; the server has 1 sessions"):
            await self.assert_all_sessions_ended(sessions)

    async def test_some_of_them(self) -> None:
        pool = await self.started(1)
        for session in "abc":
            pool.execute("initialize_session", session=session)
        self.assertEqual(pool.cleanup_sessions(only=["a", "c", "nobody's"]).ended, ["a", "c"])
        self.assertEqual(pool.execute("list_sessions"), ["b"])

    async def test_a_session_that_cannot_be_ended_is_told_of(self) -> None:
        pool = await self.started(1, command=strange("keeps sessions"))
        pool.execute("initialize_session", session="s")
        cleanup = pool.cleanup_sessions()
        self.assertEqual((cleanup.ended, cleanup.lost), ([], []))
        self.assertRegex(str(cleanup.errors["s"]), "INTERNAL: RuntimeError: no")
        self.assertEqual(self.sessions_of(pool.workers()[0]), 1)

    def sessions_of(self, worker: Any) -> int:
        """Return how many sessions a worker has, asked over the wire."""
        sessions: int = worker.call(wire.request("stats", {}, None), 10.0)["sessions"]
        return sessions
