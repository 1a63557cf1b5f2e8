"""Tests that never end, for `stress/load_killed_tests.py` to kill; no pattern finds them."""

from __future__ import annotations

import os
import threading

from tests.support import POOL_SIZE, PoolCase


class TestVictim(PoolCase, timeout=600):
    def wait_for_ever(self) -> None:
        os.write(1, b"ready\n")
        threading.Event().wait()

    def test_with_idle_workers(self) -> None:
        self.start_pool()
        self.wait_for_ever()

    def test_with_busy_workers(self) -> None:
        with self.saturated(self.start_pool()):
            self.wait_for_ever()

    def test_while_workers_are_replaced(self) -> None:
        pool = self.start_pool(max_restarts=1_000)
        for number in range(10**9):
            if number == POOL_SIZE:
                os.write(1, b"ready\n")
            pool.workers()[0].port.kill()
            self.await_restarts(pool, number + 1)
