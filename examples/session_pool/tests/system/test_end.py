"""Nothing is left: when a pool is closed, and when the process that has it is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
from session_pool import PoolClosed, SessionPool

from supertester import WaitTimeout
from supertester.targets import target_of
from tests.planted import Hurried
from tests.support import PATIENCE, POOL_SIZE, PoolCase, is_there, processes_of

SOON = 5.0
"""Seconds in which workers have to be gone whose parent was killed; it takes some milliseconds."""


class TestClose(PoolCase):
    async def check_nothing_is_left(self, kind: type[SessionPool]) -> None:
        pool = self.start_pool(kind=kind)
        self.assertEqual(len(processes_of(pool.run_id)), POOL_SIZE)
        for worker in pool.workers():
            self.addCleanup(worker.port.close)
        grandchild = target_of(psutil.Process(pool.execute_anonymous("start_program")["pid"]))
        pool.execute_in_session("stubborn", "ignore_term")
        pool.close()
        self.assertEqual(processes_of(pool.run_id), {})
        await grandchild.wait(SOON)

    async def test_no_worker_and_nothing_that_it_has_started_is_left(self) -> None:
        await self.check_nothing_is_left(SessionPool)

    async def test_a_pool_that_does_not_wait_is_found(self) -> None:
        with self.assertRaises(AssertionError):
            await self.check_nothing_is_left(Hurried)

    def test_a_worker_that_hangs_is_killed(self) -> None:
        pool, gate = self.start_pool(1), self.gate()
        pool.execute_anonymous("ignore_term")
        held = self.begin(pool.execute_anonymous, "hold", gate.args)
        [pid] = gate.wait_for(1)
        pool.close(grace=0.05)
        self.assertFalse(is_there(pid))
        self.assertIsNotNone(held.exception(PATIENCE))

    def test_who_waits_is_told(self) -> None:
        pool = self.start_pool(1)
        with self.saturated(pool):
            waiting = self.begin(pool.execute_anonymous, "ping")
            self.assertTrue(pool.await_status(lambda status: status["queued"] == 1))
            closing = self.begin(pool.close)
            self.assertEqual(str(self.assert_raised(PoolClosed, waiting)), "the pool is closed")
        closing.result(PATIENCE)
        with self.assertRaises(PoolClosed):
            pool.execute_anonymous("ping")

    def test_a_pool_may_be_closed_twice_and_another_one_started(self) -> None:
        for _ in range(2):
            pool = self.start_pool(2)
            pool.close()
            pool.close()
            self.assertEqual(processes_of(pool.run_id), {})

    def test_a_pool_that_is_closed_while_it_starts_a_worker_leaves_none(self) -> None:
        pool = self.start_pool(2)
        for worker in pool.workers():
            worker.port.kill()
        pool.close()
        self.assertEqual(processes_of(pool.run_id), {})


class TestKilledParent(PoolCase):
    def start_parent(self, *arguments: str) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.parent_program", f"parent-{id(self)}", *arguments]
        return subprocess.Popen(program, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])

    async def check_workers_end(self, busy: int, *options: str, within: float = SOON) -> None:
        gate = self.gate()
        with self.start_parent(str(gate.args["port"]), str(busy), *options) as parent:
            try:
                assert parent.stdout is not None
                workers = [target_of(psutil.Process(int(pid))) for pid in parent.stdout.readline().split()]
                self.assertEqual(len(workers), 2)
                gate.wait_for(busy)
            finally:
                parent.kill()
        try:
            for worker in workers:
                await worker.wait(within)
        finally:
            gate.close()  # What is left of it in spite of that ends now.

    async def test_workers_end_with_their_parent_busy_or_not(self) -> None:
        for busy in (0, 1, 2):
            with self.subTest(busy=busy):
                await self.check_workers_end(busy)

    async def test_a_busy_worker_that_does_not_notice_is_found(self) -> None:
        with self.assertRaises(WaitTimeout):
            await self.check_workers_end(1, "--without-lifeline", within=0.2)
