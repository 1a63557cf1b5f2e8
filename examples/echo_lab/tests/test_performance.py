"""`supertester.performance`: what operations of EchoLab cost."""

from __future__ import annotations

from typing import Any

from echo_lab import Counter

from supertester import IsolatedTestCase, PerformanceMixin


class TestPerformance(PerformanceMixin, IsolatedTestCase):
    async def test_a_measurement_and_its_bounds(self) -> None:
        """An operation has numbers of cost and a result, and bounds can be put on them."""
        measurement = await self.measure_operation(lambda: sum(range(11)))
        self.assertEqual(measurement.result, 55)
        for number in (measurement.time_us, measurement.memory_bytes, measurement.reductions):
            self.assertGreaterEqual(number, 0)
        self.assert_expectations(measurement, max_time_ms=10_000, max_memory_bytes=1_000_000, max_reductions=100)

    async def test_bounds_on_an_operation(self) -> None:
        """A call of a counter keeps generous bounds."""
        counter = await self.setup_isolated_genserver(Counter)
        value = await self.assert_performance(lambda: counter.call("value"), max_time_ms=10_000, max_reductions=100)
        self.assertEqual(value, 0)

    async def test_a_mailbox(self) -> None:
        """The mailbox of a counter is followed while it gets messages, and held to a size."""
        counter = await self.setup_isolated_genserver(Counter)

        async def add_some() -> None:
            for _ in range(5):
                counter.cast(("add", 1))
            await counter.call("value")

        report = await self.measure_mailbox_growth(counter, add_some)
        self.assertGreaterEqual(report.max_size, report.initial_size)
        await self.assert_mailbox_stable(counter, during=add_some, max_size=50)

    async def test_comparing_and_looking_for_leaks(self) -> None:
        """Two operations are compared, and neither leaks."""
        counter = await self.setup_isolated_genserver(Counter)

        async def ask() -> Any:
            return await counter.call("value")

        found = await self.compare_performance({"sum": lambda: sum(range(10)), "call": ask})
        self.assertEqual(set(found), {"sum", "call"})
        await self.assert_no_memory_leak(20, ask)

    async def test_a_load_on_a_counter(self) -> None:
        """Five users call a counter, and every call succeeds."""
        counter = await self.setup_isolated_genserver(Counter)

        async def ask() -> Any:
            return await counter.call("value")

        report = await self.run_load(ask, users=5, rate=20, duration=0.2)
        self.assert_load(report, min_success_rate=1.0)
        self.assertEqual(report.operations, 20)
