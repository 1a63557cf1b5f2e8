"""Tests that never end, for `stress/load_killed_tests.py` to kill; no pattern finds them."""

from __future__ import annotations

import os
import socket
import threading

from tests.support import POOL_SIZE, PoolCase


class TestVictim(PoolCase, timeout=600):
    def say_ready(self) -> None:
        """Tell who is about to kill this process that it is time."""
        told = socket.create_connection(("127.0.0.1", int(os.environ["SESSION_POOL_GATE"])))
        self.addCleanup(told.close)
        told.sendall(f"{os.getpid()}\n".encode())

    def wait_for_ever(self) -> None:
        self.say_ready()
        threading.Event().wait()

    def test_with_idle_workers(self) -> None:
        self.start_pool()
        self.wait_for_ever()

    def test_with_busy_workers(self) -> None:
        with self.saturated(self.start_pool()):
            self.wait_for_ever()

    def test_with_a_worker_without_a_lifeline(self) -> None:
        pool = self.start_pool(1, without=["lifeline"])
        pool.execute_anonymous("hold", {"port": int(os.environ["SESSION_POOL_GATE"])}, timeout=600)

    def test_while_workers_are_replaced(self) -> None:
        pool = self.start_pool(max_restarts=1_000_000)
        for number in range(10**9):
            if number == POOL_SIZE:
                self.say_ready()
            pool.workers()[0].port.kill()
            self.await_restarts(pool, number + 1)
