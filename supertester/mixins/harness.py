"""`HarnessMixin`: what a test of concurrent callers calls on ``self``.

Each method is a thin cover for the function of the same name in `supertester.harness`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from supertester import harness, programs
from supertester._core.outcome import Outcome
from supertester.harness import Scenario, ScenarioReport
from supertester.linear import Operation, check_linearizable
from supertester.programs import Program, ProgramReport

if TYPE_CHECKING:
    from unittest import TestCase as _Host

    from supertester.schedule import ExplorationReport
else:
    _Host = object

__all__ = ["HarnessMixin"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class HarnessMixin(_Host):
    """Scenarios of concurrent callers, as a mixin for `IsolatedTestCase` or any ``unittest`` case with async tests.

    Example::

        class CounterTest(HarnessMixin, IsolatedTestCase):
            async def test_no_increment_is_lost(self) -> None:
                scenario = self.simple_genserver_scenario(Counter, [("cast", ("add", 1))] * 10, 5, invariant=is_fifty)
                await self.run_scenario(scenario)
    """

    def simple_genserver_scenario(
        self, cls: Any, operations: Iterable[Any], thread_count: int, **options: Any
    ) -> Scenario:
        """Return a scenario of equal threads on one server; see `supertester.harness.simple_genserver_scenario`."""
        return harness.simple_genserver_scenario(cls, operations, thread_count, **options)

    def from_property_config(self, cls: Any, config: Mapping[str, Any], **options: Any) -> Scenario:
        """Return the scenario of a config that Hypothesis drew; see `supertester.harness.from_property_config`."""
        return harness.from_property_config(cls, config, **options)

    async def run_scenario(self, scenario: Scenario, *, msg: str | None = None) -> ScenarioReport:
        """Run *scenario* and return its report; fail, showing the report, if the scenario fails."""
        return self.__checked(await harness.run_scenario(scenario), msg)

    def explore_scenario(self, scenario: Scenario, *, msg: str | None = None, **options: Any) -> ExplorationReport:
        """Run *scenario* under many schedules and return the report; fail, showing it, if one of them fails.

        To be called in a plain test (``def``). The options are those of `supertester.schedule.explore_schedules`.
        """
        from supertester.scenarios.explored import explore_scenario  # Few tests need it.

        report = explore_scenario(scenario, **options)
        if report.error is not None:
            failure = self.failureException(self._formatMessage(msg, str(report)))
            failure.report = report  # type: ignore[attr-defined]
            raise failure
        return report

    async def run_with_performance(
        self, scenario: Scenario, *, msg: str | None = None, **expectations: float
    ) -> ScenarioReport:
        """Do the same with bounds for the run as a whole; see `supertester.harness.run_with_performance`."""
        return self.__checked(await harness.run_with_performance(scenario, **expectations), msg)

    def __checked(self, report: ScenarioReport, msg: str | None) -> ScenarioReport:
        if not report.ok:
            failure = self.failureException(self._formatMessage(msg, str(report)))
            failure.report = report  # type: ignore[attr-defined]
            raise failure
        return report

    async def run_concurrently(self, n: int, fn: Callable[..., Any], *, timeout: float = 5.0) -> list[Outcome[Any]]:
        """Call *fn* in *n* tasks that start together; see `supertester.harness.run_concurrently`."""
        return await harness.run_concurrently(n, fn, timeout=timeout)

    async def run_in_threads(self, n: int, fn: Callable[..., Any], *, timeout: float = 5.0) -> list[Outcome[Any]]:
        """Call *fn*, which may block, in *n* threads; see `supertester.harness.run_in_threads`."""
        return await harness.run_in_threads(n, fn, timeout=timeout)

    async def assert_parallel(
        self,
        fn: Callable[..., Any],
        n: int = 4,
        *,
        unit_ms: float | None = None,
        max_ratio: float = 1.5,
        rounds: int = 3,
        timeout: float = 30.0,
        msg: str | None = None,
    ) -> None:
        """Fail if *n* calls of *fn* at once take much longer than one; see `supertester.harness.check_parallel`."""
        found = await harness.check_parallel(
            fn, n, unit_ms=unit_ms, max_ratio=max_ratio, rounds=rounds, timeout=timeout
        )
        if found is not None:
            self.fail(self._formatMessage(msg, str(found)))

    def assert_success_rate(
        self, outcomes: Iterable[Outcome[Any]], at_least: float, *, evidence: Iterable[Any] = (), msg: str | None = None
    ) -> None:
        """Fail unless so large a share of *outcomes* is good; see `supertester.harness.check_success_rate`."""
        found = harness.check_success_rate(outcomes, at_least, evidence=evidence)
        if found is not None:
            self.fail(self._formatMessage(msg, str(found)))

    def assert_linearizable(
        self,
        history: ScenarioReport | Iterable[Operation],
        model: Any,
        *,
        sequential: bool = False,
        budget: int = 1_000_000,
        msg: str | None = None,
    ) -> None:
        """Fail unless *history*, or that of a report, is one of an object that does one thing at a time.

        See `supertester.linear.check_linearizable`. A verdict that could not be reached fails too, and says so.
        """
        operations = history.history if isinstance(history, ScenarioReport) else history
        found = check_linearizable(operations, model, sequential=sequential, budget=budget)
        if not found:
            self.fail(self._formatMessage(msg, f"the history is {found.verdict}: {found.explanation}"))

    async def assert_linearizable_program(self, program: Program, *, msg: str | None = None) -> ProgramReport:
        """Run *program* and fail unless its operations could have been done one after the other.

        See `supertester.programs.run_program`.
        """
        report = await programs.run_program(program)
        if report.mismatch is not None:
            self.fail(self._formatMessage(msg, str(report.mismatch)))
        return report

    def explore_program(self, program: Program, *, msg: str | None = None, **options: Any) -> ExplorationReport:
        """Run *program* under many schedules and return the report; fail, showing it, if one of them fails.

        To be called in a plain test (``def``). See `supertester.programs.explore_program`.
        """
        report = programs.explore_program(program, **options)
        if not report.ok:
            self.fail(self._formatMessage(msg, programs.told(report)))
        return report

    def assert_implements(self, cls: type, protocol: Any, *, msg: str | None = None) -> None:
        """Fail unless *cls* has the methods of *protocol*; see `supertester.harness.check_implements`."""
        mismatch = harness.check_implements(cls, protocol)
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))
