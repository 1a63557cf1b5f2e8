"""`TelemetryAssertions`: what a test expects of its own spans, metrics, logs and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supertester._core.mismatch import Mismatch
from supertester.errors import WaitTimeout

if TYPE_CHECKING:
    from unittest import TestCase as _Host

    from supertester.context import IsolationContext
    from supertester.isolation.telemetry.patterns import Metadata, Pattern
    from supertester.telemetry import TelemetryEvent
else:
    _Host = object

__all__ = ["TelemetryAssertions"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class TelemetryAssertions(_Host):
    """Assertions on telemetry; `IsolatedTestCase` has them.

    They look at what has reached ``self.telemetry``, in the order in which it came, and leave it there. An event is
    given by its name, a glob, or a function of the event; see `supertester.isolation.telemetry.Telemetry`.
    """

    if TYPE_CHECKING:
        isolation: IsolationContext

    def __telemetry(self) -> Any:
        return self.isolation.feature("telemetry")

    async def assert_telemetry(
        self,
        pattern: Pattern,
        metadata: Metadata | None = None,
        *,
        timeout: float = 1.0,
        consume: bool = False,
        msg: str | None = None,
    ) -> TelemetryEvent:
        """Return the oldest event that is meant; fail if none comes in time.

        Args:
            pattern: Which event.
            metadata: What its metadata has to contain, or a function of it.
            timeout: Seconds to wait; with 0 it is looked at once.
            consume: Whether to remove the event, so that the next call finds the one after it.
            msg: What to add to the failure.
        """
        try:
            event: TelemetryEvent = await self.__telemetry().wait_for(
                pattern, metadata, timeout=timeout, consume=consume
            )
        except WaitTimeout as error:
            raise self.failureException(self._formatMessage(msg, str(error))) from None
        return event

    async def refute_telemetry(self, pattern: Pattern, *, timeout: float = 0.1, msg: str | None = None) -> None:
        """Fail if an event that is meant is there, or comes within so many seconds."""
        from supertester.isolation.telemetry.checks import check_no_event

        mismatch = await check_no_event(self.__telemetry(), pattern, timeout=timeout)
        if mismatch is not None:
            self.fail(self._formatMessage(msg, str(mismatch)))

    async def assert_telemetry_count(
        self, pattern: Pattern, n: int, *, timeout: float = 1.0, consume: bool = False, msg: str | None = None
    ) -> list[TelemetryEvent]:
        """Return the events that are meant, oldest first; fail unless they are exactly *n*.

        Waits up to *timeout* seconds for the first *n*; whether there are more is seen once all that is ready to run
        has run. With *consume* the events are removed.
        """
        from supertester.isolation.telemetry.checks import count_events

        found = await count_events(self.__telemetry(), pattern, n, timeout=timeout, consume=consume)
        if isinstance(found, Mismatch):
            self.fail(self._formatMessage(msg, str(found)))
        return found
