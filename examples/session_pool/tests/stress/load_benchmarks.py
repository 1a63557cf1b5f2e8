"""What the pool costs beside what its pipes cost, and three ways to use it; ratios, because machines differ."""

from __future__ import annotations

import time
from functools import partial

from session_pool import PoolWorker, PythonPort, SessionPool

from supertester import PerformanceMixin
from tests.planted import Serial
from tests.support import TROUBLE, PoolCase

PING = "ping"


class TestBenchmarks(PerformanceMixin, PoolCase):
    async def check_overhead(self, pool: SessionPool, limit: float) -> None:
        port = PythonPort.spawn("alone", argv=TROUBLE)
        self.addCleanup(port.close)
        found = await self.compare_performance(
            {"port": partial(port.call, PING), "pool": partial(pool.execute_anonymous, PING)}
        )
        self.assertLess(found.ratios["pool"].low, limit, str(found))

    async def test_a_call_of_the_pool_costs_little_more_than_one_of_a_port(self) -> None:
        await self.check_overhead(self.start_pool(1), 6)

    async def test_a_pool_that_became_slow_is_found(self) -> None:
        pool = self.start_pool(1)

        given = pool._given

        def slow(worker: PoolWorker, session: str | None) -> PoolWorker:
            sorted(range(200_000, 0, -1))
            return given(worker, session)

        pool._given = slow  # type: ignore[method-assign]
        with self.assertRaises(AssertionError):
            await self.check_overhead(pool, 6)

    async def test_three_ways_to_use_it(self) -> None:
        """As tables of benchmarks have them: one session, ten at once, and sessions that begin and end."""
        pool = self.start_pool(4)

        def concurrent() -> None:
            self.in_threads(lambda number: pool.execute_in_session(f"bench_{number}", PING), range(10))

        def creation() -> None:
            pool.execute_in_session("new", PING)
            pool.end_session("new")

        scenarios = {
            "single_session": partial(pool.execute_in_session, "bench", PING),
            "concurrent_sessions": concurrent,
            "session_creation": creation,
        }
        found = await self.compare_performance(scenarios)
        self.assertEqual([*found], [*scenarios])
        self.assertGreater(found.ratios["session_creation"].median, 1.0)
        measured = await self.benchmark(scenarios["single_session"], warmup=100, iterations=1_000)
        assert measured.p95 is not None
        assert measured.p99 is not None
        self.assertLessEqual(measured.min, measured.median)
        self.assertLessEqual(measured.p95, measured.p99)

    async def test_twice_as_slow_is_a_regression(self) -> None:
        pool = self.start_pool(1)

        def once() -> None:
            pool.execute_anonymous(PING)

        def twice() -> None:
            once()
            once()

        await self.assert_no_regression(once, once, tolerance=0.5, by="time")
        with self.assertRaises(AssertionError):
            await self.assert_no_regression(twice, once, tolerance=0.5, by="time")


class TestThroughput(PoolCase):
    """A floor, and a pool that cannot reach it: one that serves a single call at a time."""

    def throughput(self, pool: SessionPool) -> float:
        began, count = time.monotonic(), 500

        def user(_: int) -> None:
            for _ in range(count):
                pool.execute_anonymous("sleep", {"seconds": 0.001})

        self.in_threads(user, range(4))
        return 4 * count / (time.monotonic() - began)

    def test_four_workers_do_more_than_one(self) -> None:
        together, one_by_one = self.throughput(self.start_pool(4)), self.throughput(self.start_pool(4, kind=Serial))
        self.assertGreater(together, 1.5 * one_by_one)

    def test_a_floor_of_three_thousand_calls_per_second(self) -> None:
        pool = self.start_pool(4)
        began = time.monotonic()
        self.in_threads(lambda _: [pool.execute_anonymous(PING) for _ in range(1_500)], range(4))
        self.assertGreater(6_000 / (time.monotonic() - began), 3_000)
