"""Workers that are killed and stopped, in the middle of work, again and again."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from pathlib import Path
from typing import Any

from session_pool import (
    PoolTimeout,
    PortClosed,
    PortTimeout,
    RestartIntensityExceeded,
    SessionLost,
    SessionPool,
    WorkerInitFailed,
)

from supertester import ChaosMixin, HarnessMixin
from supertester.chaos import Injection, at_operations
from tests.planted import Forgetful, Hopeless, Relentless
from tests.support import PATIENCE, POOL_SIZE, PoolCase, processes_of


class Work:
    """Calls of many threads, that tell when there have been so many."""

    def __init__(self, pool: SessionPool, *, users: int, operations: int, **options: Any) -> None:
        self.pool = pool
        self.errors: list[Exception] = []
        self.done = 0
        self._each = operations // users
        self._options = options
        self._counted = threading.Condition()
        self._threads = [threading.Thread(target=self._user, name=f"user-{number}") for number in range(users)]

    def _user(self) -> None:
        for _ in range(self._each):
            try:
                self.pool.execute_anonymous("ping", **self._options)
            except Exception as error:  # noqa: BLE001 - the account is what the tests are about
                self.errors.append(error)
            with self._counted:
                self.done += 1
                self._counted.notify_all()

    def after(self, operations: int) -> None:
        """Wait until there have been so many operations."""
        with self._counted:
            assert self._counted.wait_for(lambda: self.done >= operations, PATIENCE), f"only {self.done} operations"

    def __enter__(self) -> Work:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()


class TestKills(ChaosMixin, HarnessMixin, PoolCase):
    soon = PATIENCE

    async def check_recovers(self, kind: type[SessionPool]) -> None:
        size = max(POOL_SIZE, 4)  # One at least is left if nobody comes back.
        pool = self.start_pool(size, kind=kind, max_restarts=1_000)
        before = {worker.id: worker.pid for worker in pool.workers()}
        kills: list[Injection] = []
        one_by_one = asyncio.Lock()

        async def kill() -> None:
            async with one_by_one:  # Otherwise two of them might mean the same worker.
                kills.append(await self.kill_random_worker(pool))

        ping = at_operations(
            lambda: pool.execute_anonymous("ping", retries=5, pool_timeout=PATIENCE), {100: kill, 200: kill, 300: kill}
        )
        outcomes = await self.run_in_threads(4, lambda _: [ping() for _ in range(100)], timeout=2 * PATIENCE)
        self.assertEqual([outcome.error for outcome in outcomes], [None] * 4)
        self.assertEqual([each.reason for each in kills], ["signal SIGKILL"] * 3, "no fault was delivered")
        self.await_restarts(pool, 3, self.soon)
        self.assertEqual(len(pool.workers()), size)
        replaced = {worker.id: worker for worker in pool.workers() if worker.generation > 1}
        self.assertEqual(sum(worker.generation - 1 for worker in replaced.values()), 3)
        self.assertTrue(all(worker.pid != before[worker.id] for worker in replaced.values()))
        self.assertEqual(set(processes_of(pool.run_id).values()) - {"R", "S"}, set(), "a zombie was left")
        self.assertEqual(set(pool.health_check(PATIENCE).values()), {"healthy"})

    async def test_calls_go_on_while_workers_are_killed(self) -> None:
        await self.check_recovers(SessionPool)

    async def test_a_pool_that_replaces_nobody_is_found(self) -> None:
        self.soon = 0.3
        with self.assertRaisesRegex(AssertionError, "'closed': False"):
            await self.check_recovers(Hopeless)

    async def test_the_pool_is_well_again_soon_after_a_kill(self) -> None:
        pool = self.start_pool()
        recovery = await self.assert_recovers(
            pool, within=PATIENCE, probe=lambda: pool.execute_anonymous("ping", retries=1)["status"] == "ok"
        )
        [(ended, reason)] = recovery.ended.items()
        self.assertEqual(reason, "signal SIGKILL")
        self.assertEqual([(each.id, each.generation) for each in recovery.begun], [(ended.id, 2)])

    async def test_a_worker_that_exits_in_a_call_is_replaced(self) -> None:
        pool = self.start_pool(1)
        with self.assertRaisesRegex(PortClosed, "the worker ended with exit status 13") as caught:
            pool.execute_anonymous("exit", {"status": 13})
        self.assertEqual(caught.exception.status, 13)
        self.assertEqual(pool.execute_anonymous("ping")["status"], "ok")

    def check_told_once(self, kind: type[SessionPool]) -> None:
        pool = self.start_pool(2, kind=kind)
        pid = pool.execute_in_session("ann", "ping")["pid"]
        other = pool.execute_in_session("bob", "ping")["pid"]
        with self.assertRaises(PortClosed):
            pool.execute_in_session("ann", "exit", {"status": 1})
        with self.assertRaises(SessionLost):
            pool.execute_in_session("ann", "ping")
        self.assertNotEqual(pool.execute_in_session("ann", "ping")["pid"], pid)
        self.assertEqual(pool.execute_in_session("bob", "ping")["pid"], other)
        self.assertEqual(pool.status()["metrics"]["sessions_lost"], 1)

    def test_a_session_is_told_once_that_its_worker_has_died(self) -> None:
        self.check_told_once(SessionPool)

    def test_a_pool_that_tells_nobody_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "SessionLost not raised"):
            self.check_told_once(Forgetful)

    def test_who_waits_for_the_worker_that_dies_is_told_at_once(self) -> None:
        pool, gate = self.start_pool(2), self.gate()
        held = self.begin(pool.execute_in_session, "ann", "hold", gate.args)
        [pid] = gate.wait_for(1)
        waiting = self.begin(pool.execute_in_session, "ann", "ping", timeout=PATIENCE)
        self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
        [worker] = [worker for worker in pool.workers() if worker.pid == pid]
        worker.port.kill()
        self.assert_raised(SessionLost, waiting)
        self.assert_raised(PortClosed, held)
        self.assertEqual(pool.execute_in_session("ann", "ping")["status"], "ok")


class TestStops(PoolCase):
    def test_a_worker_that_stands_still_is_replaced_when_a_call_has_waited_long_enough(self) -> None:
        pool = self.start_pool(2)
        pid = pool.execute_in_session("ann", "ping")["pid"]
        [worker] = [worker for worker in pool.workers() if worker.pid == pid]
        worker.port.kill(signal.SIGSTOP)
        with self.assertRaisesRegex(PortTimeout, "ping was not answered within 0"):
            pool.execute_in_session("ann", "ping", timeout=0.1)
        self.await_restarts(pool, 1)
        self.assertNotIn(pid, processes_of(pool.run_id))
        with self.assertRaises(SessionLost):
            pool.execute_in_session("ann", "ping")


class TestStorm(PoolCase):
    def test_thirty_times_two_kills_under_load_leave_all_as_it_was(self) -> None:
        pool, chance = self.start_pool(max_restarts=1_000), random.Random(self.isolation.seed)
        descriptors, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
        kills = min(2, POOL_SIZE)
        with Work(pool, users=4, operations=2_000, retries=100) as work:
            for cycle in range(30):
                work.after(cycle * 50)
                self.assertTrue(pool.await_size(POOL_SIZE, PATIENCE), pool.status())
                for worker in chance.sample(list(pool.workers()), kills):
                    worker.port.child.signal_group(signal.SIGKILL)
                self.await_restarts(pool, (cycle + 1) * kills)
        self.assertEqual(work.errors, [])
        self.assertEqual(pool.status()["metrics"]["deaths"], 30 * kills)
        self.assertEqual(processes_of(pool.run_id).keys(), {worker.pid for worker in pool.workers()})
        self.assertEqual(len(pool.workers()), POOL_SIZE)
        # Others may have opened something meanwhile, but not once for each of the 60 that have died.
        self.assertLess(len(list(Path("/proc/self/fd").iterdir())) - descriptors, 30)
        self.assertLess(threading.active_count() - threads, 30)

    def test_after_any_faults_the_pool_knows_which_processes_there_are(self) -> None:
        pool, chance = self.start_pool(3, max_restarts=1_000), random.Random(self.isolation.seed)
        for _ in range(60):
            worker = chance.choice(list(pool.workers()))
            fault = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
            restarts = pool.status()["metrics"].get("restarts", 0)
            worker.port.child.signal_group(fault)
            if fault == signal.SIGSTOP and chance.random() < 0.5:
                worker.port.child.signal_group(signal.SIGCONT)
                continue
            if fault == signal.SIGSTOP:
                worker.port.child.signal_group(signal.SIGKILL)
            self.await_restarts(pool, restarts + 1)
            self.assertEqual(processes_of(pool.run_id).keys(), {each.pid for each in pool.workers()})
        self.assertEqual(set(pool.health_check(PATIENCE).values()), {"healthy"})


class TestIntensity(PoolCase):
    def test_a_pool_whose_workers_die_too_often_gives_up(self) -> None:
        pool, gate = self.start_pool(1, max_restarts=3, window=60), self.gate()
        for _ in range(3):
            with self.assertRaises(PortClosed):
                pool.execute_anonymous("exit", {"status": 1})
        held = self.begin(pool.execute_anonymous, "hold", gate.args)
        [_pid] = gate.wait_for(1)
        waiting = [self.begin(pool.execute_anonymous, "ping") for _ in range(2)]
        self.assertTrue(pool.await_status(lambda status: status["queued"] == 2))
        pool.workers()[0].port.kill()
        for each in waiting:
            error = self.assert_raised(RestartIntensityExceeded, each)
            self.assertEqual(str(error), "restart intensity exceeded: 4 workers died within 60 s")
        self.assert_raised(PortClosed, held)
        with self.assertRaises(RestartIntensityExceeded):
            pool.execute_anonymous("ping")
        self.assertTrue(pool.await_size(0))
        self.assertEqual(processes_of(pool.run_id), {})

    def check_bounded(self, kind: type[SessionPool]) -> None:
        starts: list[int] = []
        pool = self.start_pool(1, kind=kind, max_restarts=5, window=60)
        start = pool._factory

        def fail() -> Any:
            starts.append(1)
            if len(starts) > 50:
                return start()  # Somebody has to stop it.
            raise WorkerInitFailed("no such model")

        pool._factory = fail
        pool.workers()[0].port.kill()
        self.assertTrue(pool.await_status(lambda status: status["closed"] or len(starts) > 50, PATIENCE))
        self.assertLessEqual(len(starts), 5)

    def test_a_worker_that_never_starts_again_is_not_tried_for_ever(self) -> None:
        self.check_bounded(SessionPool)

    def test_a_pool_that_never_gives_up_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "51 not less than or equal to 5"):
            self.check_bounded(Relentless)


class TestAccount(PoolCase):
    def check_accounted(self, errors: list[Exception], kills: int, lost: int) -> None:
        """Each error is one that a kill explains: a call that was under way, or a session that lived there."""
        kinds: dict[str, int] = {}
        for error in errors:
            kinds[type(error).__name__] = kinds.get(type(error).__name__, 0) + 1
        under_way, told = kinds.pop("PortClosed", 0), kinds.pop("SessionLost", 0)
        self.assertEqual(kinds, {}, "nothing else was to happen")
        self.assertLessEqual(under_way, kills)
        self.assertLessEqual(told, lost)

    def test_every_error_has_a_kill_that_explains_it(self) -> None:
        pool = self.start_pool(4, max_restarts=1_000)
        errors: list[Exception] = []
        counted = threading.Semaphore(0)

        def user(number: int) -> None:
            for _ in range(50):
                try:
                    pool.execute_in_session(f"user_{number}", "ping")
                except Exception as error:  # noqa: BLE001
                    errors.append(error)
                counted.release()

        users = [self.begin(user, number) for number in range(16)]
        chance, kills = random.Random(self.isolation.seed), 0
        for _ in range(8):
            for _ in range(50):
                self.assertTrue(counted.acquire(timeout=PATIENCE))
            if pool.await_size(4, PATIENCE):
                chance.choice(list(pool.workers())).port.child.signal_group(signal.SIGKILL)
                kills += 1
        for each in users:
            each.result(PATIENCE)
        self.assertEqual(kills, 8)
        self.check_accounted(errors, kills, pool.status()["metrics"]["sessions_lost"])

    def test_an_error_of_another_kind_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "(?s)PoolTimeout.*nothing else was to happen"):
            self.check_accounted([PortClosed("killed"), PoolTimeout("too slow")], kills=1, lost=0)
