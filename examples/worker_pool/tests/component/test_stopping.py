"""The end of a worker: asked, told, killed, and with all that it has started."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil
from worker_pool import Worker, WorkerStartError, wire

from supertester.testing import run_inner
from tests.support.contract import has_died
from tests.support.pools import PoolCase


class TestLeaks(PoolCase):
    def test_a_worker_that_is_left_is_found(self) -> None:
        """Also where a test forgets to stop one: it fails, and the worker is gone."""
        left: list[Worker] = []

        class Forgetful(PoolCase):
            def test_forgets(self) -> None:
                left.append(Worker("left", 1, run_id="of nobody"))

        result = run_inner(Forgetful("test_forgets"))
        self.assertRegex(result.report, r"child process .*-m worker_pool .* was left running")
        [worker] = left
        self.assertTrue(has_died(worker))
        worker.stop(0.0)


class TestStopping(PoolCase):
    def test_the_end_of_its_lifeline_is_enough(self) -> None:
        worker = self.ready_worker()
        self.assertEqual(worker.stop(10.0), 0)
        self.assertFalse(psutil.pid_exists(worker.pid))

    def test_one_without_a_lifeline_hears_sigterm(self) -> None:
        worker = self.ready_worker("has no lifeline")
        worker.kill(signal.SIGTERM)
        self.assertTrue(has_died(worker))
        self.assertEqual(worker.stop(0.0), 0)

    def test_it_hears_sigterm_at_any_moment(self) -> None:
        for line in range(1, 6):
            with self.subTest(line=line):
                worker = self.worker(f"is told at {line}")
                with suppress(WorkerStartError):  # It may be gone before it is asked whether it is well.
                    worker.await_ready(20.0)
                if line > 1:  # It waits at the first one, and the others come when it has been told.
                    worker.kill(signal.SIGTERM)
                self.assertTrue(has_died(worker))
                self.assertEqual(worker.stop(0.0), 0)

    def test_it_hears_sigterm_in_whatever_thread_it_comes(self) -> None:
        worker = self.ready_worker("is told elsewhere")
        worker.kill(signal.SIGTERM)
        self.assertTrue(has_died(worker))
        self.assertEqual(worker.stop(0.0), 0)

    def test_one_that_is_deaf_is_killed(self) -> None:
        worker = self.ready_worker("is deaf")
        began = time.monotonic()
        self.assertEqual(worker.stop(0.2), -signal.SIGKILL)
        self.assertGreaterEqual(time.monotonic() - began, 0.4)
        self.assertFalse(psutil.pid_exists(worker.pid))

    def test_a_frozen_one_need_not_be_killed(self) -> None:
        worker = self.ready_worker()
        worker.kill(signal.SIGSTOP)
        self.assertEqual(worker.stop(10.0), 0)

    def test_its_children_go_with_it(self) -> None:
        worker = self.ready_worker("")
        child = psutil.Process(worker.call(wire.request("forget_to_end_a_child", {}, None), 10.0)["pid"])
        self.assertEqual(os.getpgid(child.pid), worker.pid)
        worker.stop(10.0)
        psutil.wait_procs([child], timeout=10)
        with suppress(psutil.NoSuchProcess):  # It may be reaped just now.
            self.assertEqual(child.status(), psutil.STATUS_ZOMBIE)

    def test_it_is_reaped_when_it_was_killed_from_outside(self) -> None:
        worker = self.ready_worker()
        os.kill(worker.pid, signal.SIGKILL)
        self.assertTrue(has_died(worker))
        self.assertEqual(psutil.Process(worker.pid).status(), psutil.STATUS_ZOMBIE)
        self.assertEqual(worker.stop(0.0), -signal.SIGKILL)
        self.assertFalse(psutil.pid_exists(worker.pid))
