"""The counters of the pool, which are exact also when many count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from session_pool import RemoteError, SessionPool

from tests.planted import Miscounting
from tests.support import POOL_SIZE, PoolCase


class TestMetrics(PoolCase):
    @contextmanager
    def metric_delta(self, pool: SessionPool, **expected: int) -> Iterator[None]:
        before = pool.status()["metrics"]
        yield
        after = pool.status()["metrics"]
        self.assertEqual({name: after.get(name, 0) - before.get(name, 0) for name in expected}, expected)

    def check_counts(self, kind: type[SessionPool]) -> None:
        pool = self.start_pool(max(POOL_SIZE, 2), kind=kind)
        with self.metric_delta(pool, total_operations=2, succeeded=2), self.saturated(pool, 2):
            pass  # Both have begun, and neither has ended.

        def work(number: int) -> None:
            for _ in range(100):
                pool.execute_in_session(f"session_{number}", "ping")

        with self.metric_delta(pool, total_operations=800, succeeded=800, failed=0):
            self.in_threads(work, range(8))

    def test_each_operation_counts_once(self) -> None:
        self.check_counts(SessionPool)

    def test_a_pool_that_loses_count_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "total_operations"):
            self.check_counts(Miscounting)

    def test_what_fails_counts_too(self) -> None:
        pool = self.start_pool(1)
        with self.metric_delta(pool, total_operations=2, succeeded=1, failed=1):
            pool.execute_anonymous("ping")
            with self.assertRaises(RemoteError):
                pool.execute_anonymous("fly")
