"""`PerformanceMixin`: what a test of cost calls on ``self``.

Each method is a thin cover for the function of the same name in `supertester.performance`.
"""

from __future__ import annotations

import os
import unittest
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from supertester import performance
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.otp.refs import Reference

if TYPE_CHECKING:
    from unittest import TestCase as _Host
else:
    _Host = object

__all__ = ["PerformanceMixin"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


_POLICIES = ("skip", "fail", "warn")


def _check_policy(on_inconclusive: str) -> None:
    if on_inconclusive not in _POLICIES:
        raise UsageError(f"on_inconclusive must be one of {', '.join(_POLICIES)}, got {on_inconclusive!r}")


class Inconclusive(unittest.SkipTest):
    """A test was skipped, since what it measured does not tell whether it holds."""

    supertester_outcome = "inconclusive"


class PerformanceMixin(_Host):
    """What operations cost, as a mixin for `IsolatedTestCase` or any ``unittest`` case with async tests.

    Example::

        class SearchTest(PerformanceMixin, IsolatedTestCase):
            async def test_is_cheap(self) -> None:
                await self.assert_performance(lambda: search("needle"), max_reductions=1_000)
    """

    def __fail_for(self, mismatch: Mismatch | None, msg: str | None) -> None:
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    def __settle(self, judged: performance.Judged, on_inconclusive: str, msg: str | None) -> None:
        self.__fail_for(judged.mismatch, msg)
        if judged.verdict is performance.Verdict.INCONCLUSIVE:
            if on_inconclusive == "skip":
                raise Inconclusive(judged.reason)
            if on_inconclusive == "fail":
                self.fail(self._formatMessage(msg, judged.reason))
            warnings.warn(judged.reason, performance.InconclusiveWarning, stacklevel=3)

    async def measure_operation(
        self, fn: Callable[[], Any], *, once: bool = False, process: Any = None
    ) -> performance.Measurement:
        """Run *fn* and return what it cost; see `supertester.performance.measure_operation`."""
        return await performance.measure_operation(fn, once=once, process=process)

    def assert_expectations(
        self, measurement: performance.Measurement, *, msg: str | None = None, **expectations: float
    ) -> None:
        """Fail if *measurement* exceeds a bound; see `supertester.performance.check_expectations`."""
        self.__fail_for(performance.check_expectations(measurement, **expectations), msg)

    async def assert_performance(
        self,
        fn: Callable[[], Any],
        *,
        once: bool = False,
        rounds: performance.Rounds | None = None,
        process: Any = None,
        on_inconclusive: str = "skip",
        msg: str | None = None,
        **bounds: float,
    ) -> Any:
        """Fail if *fn* exceeds a bound, and return what it returned; see `supertester.performance.probe_performance`.

        Args:
            fn: The operation, plain or async. It runs several times, unless *once* is true.
            once: Run it a single time.
            rounds: How often to measure times.
            process: The process that the bounds ``max_process_...`` are of.
            on_inconclusive: What to do if a limit for a time cannot be told from what was measured: ``"skip"`` the
                test with the evidence as its reason, ``"fail"`` it, or ``"warn"``.
            msg: A message of your own for the failure.
            bounds: ``max_time_ms``, ``max_cpu_ms``, ``max_memory_bytes``, ``max_reductions``; of a process
                ``max_process_cpu_ms``, ``max_process_memory_bytes``, ``max_process_descriptors``,
                ``max_process_threads``.
        """
        _check_policy(on_inconclusive)
        judged = await performance.probe_performance(fn, once=once, rounds=rounds, process=process, **bounds)
        self.__settle(judged, on_inconclusive, msg)
        return judged.result

    async def assert_no_memory_leak(
        self,
        iterations: int,
        fn: Callable[[], Any],
        *,
        threshold: float = 0.1,
        sample_count: int = 12,
        warmup_iterations: int | None = None,
        min_absolute_growth_bytes: int = 256_000,
        own_process: bool = False,
        process: Any = None,
        msg: str | None = None,
    ) -> performance.LeakReport:
        """Fail if *fn* leaks memory, with the lines that do, or lets *process* leak.

        See `supertester.performance.probe_memory_leak`.
        """
        report = await performance.probe_memory_leak(
            iterations,
            fn,
            threshold=threshold,
            sample_count=sample_count,
            warmup_iterations=warmup_iterations,
            min_absolute_growth_bytes=min_absolute_growth_bytes,
            own_process=own_process,
            process=process,
        )
        self.__fail_for(report.mismatch, msg)
        return report

    async def compare_performance(
        self, operations: Mapping[str, Callable[[], Any]], *, rounds: performance.Rounds | None = None
    ) -> performance.Comparison:
        """Measure operations side by side; see `supertester.performance.compare_performance`."""
        return await performance.compare_performance(operations, rounds=rounds)

    async def benchmark(
        self, fn: Callable[[], Any], *, warmup: int = 100, iterations: int = 1000
    ) -> performance.Benchmark:
        """Return how long single runs of *fn* take, in seconds; see `supertester.performance.benchmark`."""
        return await performance.benchmark(fn, warmup=warmup, iterations=iterations)

    async def assert_no_regression(
        self,
        fn: Callable[[], Any],
        baseline: Callable[[], Any] | str | os.PathLike[str],
        *,
        tolerance: float = 0.1,
        by: str = "cpu",
        name: str | None = None,
        update: bool | None = None,
        rounds: performance.Rounds | None = None,
        on_inconclusive: str = "skip",
        msg: str | None = None,
    ) -> Any:
        """Fail if *fn* costs more than the *baseline*, and return what it returned.

        See `supertester.performance.probe_regression`; *on_inconclusive* as for `assert_performance`.
        """
        _check_policy(on_inconclusive)
        judged = await performance.probe_regression(
            fn, baseline, tolerance=tolerance, by=by, name=name, update=update, rounds=rounds
        )
        self.__settle(judged, on_inconclusive, msg)
        return judged.result

    async def run_load(
        self,
        operation: Callable[..., Any],
        *,
        users: int,
        rate: float,
        duration: float,
        ramp_up: float = 0.0,
        **options: Any,
    ) -> performance.LoadReport:
        """Let *users* do *operation* so many times a second each; see `supertester.performance.run_load`."""
        return await performance.run_load(
            operation, users=users, rate=rate, duration=duration, ramp_up=ramp_up, **options
        )

    def assert_load(
        self,
        report: performance.LoadReport,
        *,
        on_inconclusive: str = "skip",
        msg: str | None = None,
        **bounds: float,
    ) -> None:
        """Fail if *report* does not keep a bound: ``min_success_rate``, ``max_p95_ms``, ``max_p99_ms``, ...

        A load whose generator could not keep up is inconclusive. See `supertester.performance.judge_load`.
        """
        _check_policy(on_inconclusive)
        self.__settle(performance.judge_load(report, **bounds), on_inconclusive, msg)

    async def measure_mailbox_growth(
        self, server: Reference | performance.Queue, fn: Callable[[], Any], *, sampling_interval: float = 10
    ) -> performance.MailboxReport:
        """Run *fn* and return how full its mailbox got; see `supertester.performance.measure_mailbox_growth`."""
        return await performance.measure_mailbox_growth(server, fn, sampling_interval=sampling_interval)

    async def assert_mailbox_stable(
        self,
        server: Reference | performance.Queue,
        *,
        during: Callable[[], Any],
        max_size: int = 100,
        sampling_interval: float = 10,
        msg: str | None = None,
    ) -> performance.MailboxReport:
        """Run *during* and fail if more than *max_size* messages wait in the mailbox (or in the queue) meanwhile."""
        report, mismatch = await performance.check_mailbox_stable(
            server, during=during, max_size=max_size, sampling_interval=sampling_interval
        )
        self.__fail_for(mismatch, msg)
        return report
