"""`PerformanceMixin`: what a test of cost calls on ``self``.

Each method is a thin cover for the function of the same name in `supertester.performance`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supertester import performance
from supertester._core.mismatch import Mismatch
from supertester.otp.refs import Reference

if TYPE_CHECKING:
    from unittest import TestCase as _Host
else:
    _Host = object

__all__ = ["PerformanceMixin"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


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

    async def measure_operation(self, fn: Callable[[], Any]) -> performance.Measurement:
        """Run *fn* and return what it cost; see `supertester.performance.measure_operation`."""
        return await performance.measure_operation(fn)

    def assert_expectations(
        self, measurement: performance.Measurement, *, msg: str | None = None, **expectations: float
    ) -> None:
        """Fail if *measurement* exceeds a bound; see `supertester.performance.check_expectations`."""
        self.__fail_for(performance.check_expectations(measurement, **expectations), msg)

    async def assert_performance(self, fn: Callable[[], Any], *, msg: str | None = None, **expectations: float) -> Any:
        """Run *fn*, fail if it exceeds a bound, and return what it returned."""
        measurement = await performance.measure_operation(fn)
        self.assert_expectations(measurement, msg=msg, **expectations)
        return measurement.result

    async def measure_mailbox_growth(
        self, server: Reference, fn: Callable[[], Any], *, sampling_interval: float = 10
    ) -> performance.MailboxReport:
        """Run *fn* and return how full the mailbox got; see `supertester.performance.measure_mailbox_growth`."""
        return await performance.measure_mailbox_growth(server, fn, sampling_interval=sampling_interval)

    async def assert_mailbox_stable(
        self,
        server: Reference,
        *,
        during: Callable[[], Any],
        max_size: int = 100,
        sampling_interval: float = 10,
        msg: str | None = None,
    ) -> performance.MailboxReport:
        """Run *during* and fail if more than *max_size* messages wait in the mailbox at any moment."""
        report, mismatch = await performance.check_mailbox_stable(
            server, during=during, max_size=max_size, sampling_interval=sampling_interval
        )
        self.__fail_for(mismatch, msg)
        return report
