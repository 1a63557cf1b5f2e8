"""`supertester.harness`: several callers at once."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from echo_lab import Counter

from supertester import HarnessMixin, IsolatedTestCase
from supertester.harness import chaos_inject_crash, chaos_kill_children
from supertester.otp import Supervisor, SupervisorSpec


class Team(Supervisor):
    def init(self) -> SupervisorSpec:
        return SupervisorSpec([])


class Callbacks(Protocol):
    def init(self, start: int = 0) -> Any: ...


class TestScenarios(HarnessMixin, IsolatedTestCase):
    async def test_two_callers_of_a_counter(self) -> None:
        """A scenario with an observed mailbox, a bound and an invariant runs and reports."""

        async def counted(counter: Any, _context: Any) -> bool:
            return bool(await counter.call("value") == 6)

        scenario = self.simple_genserver_scenario(
            Counter,
            [("add", 1)] * 3,
            2,
            mailbox={"sampling_interval": 5},
            performance_expectations={"max_time_ms": 60_000},
            invariant=counted,
        )
        report = await self.run_scenario(scenario)
        self.assertEqual((report.metrics["thread_count"], report.metrics["operation_errors"]), (2, 0))
        self.assertGreaterEqual(report.mailbox.max_size, 1)

    async def test_bounds_around_a_scenario(self) -> None:
        """Bounds can be put around a scenario that has none."""
        scenario = self.simple_genserver_scenario(Counter, ["value"], 2)
        report = await self.run_with_performance(scenario, max_time_ms=60_000)
        self.assertTrue(report.ok)

    async def test_hooks_of_chaos(self) -> None:
        """The builders of hooks give functions of the subject and the context."""
        counter = await self.setup_isolated_genserver(Counter)
        injection = await chaos_inject_crash(("random", 0.0))(counter, {})
        self.assertFalse(injection.fired)
        team = await self.setup_isolated_supervisor(Team)
        self.assertEqual((await chaos_kill_children(duration_ms=0)(team, {})).killed, 0)

    async def test_ten_at_once(self) -> None:
        """One function, ten times at the same time."""
        counter = await self.setup_isolated_genserver(Counter)
        outcomes = await self.run_concurrently(10, lambda: counter.call("value"))
        self.assertTrue(all(outcome.ok for outcome in outcomes))

    async def test_ten_threads_at_once(self) -> None:
        """The same for a caller that is not async; three of four answers are enough."""
        counter = await self.setup_isolated_genserver(Counter)
        loop = asyncio.get_running_loop()

        def ask(number: int) -> Any:
            if number == 9:
                raise ConnectionError("the line was cut")
            return asyncio.run_coroutine_threadsafe(counter.call(("add", 1)), loop).result()

        outcomes = await self.run_in_threads(10, ask)
        self.assert_success_rate(outcomes, 0.75)
        with self.assertRaisesRegex(AssertionError, "9 of 10 succeeded .*: 1 ConnectionError"):
            self.assert_success_rate(outcomes, 1)

    def test_a_server_has_its_callbacks(self) -> None:
        """The counter is what a counter has to be."""
        self.assert_implements(Counter, Callbacks)
