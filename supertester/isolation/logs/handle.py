"""`Logs`: what a test sees and sets of logging, ``self.logs``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar, overload

from supertester.context import IsolationContext
from supertester.isolation.logs.asserting import LogAssertion
from supertester.isolation.logs.levels import checked_level, level_name, logger_name
from supertester.isolation.logs.recording import Pattern
from supertester.isolation.logs.route import Capture, Route
from supertester.isolation.logs.routing import route_of, route_records
from supertester.telemetry import TEST_ID, emit

__all__ = ["Logs", "enter_logs"]

T = TypeVar("T")


class Logs:
    """The log records of one test, and its own levels.

    A record belongs to the test whose code made it: the body, and every task, thread, timer, job of an executor and
    server that it started. Other tests and foreign threads have no part in it. The levels set here hold for the test's
    own code; no logger is changed. What they let through in addition goes to the test alone, not to handlers.

    The last 1000 records of the test are kept, from its beginning, without the objects that they were about.
    """

    def __init__(self, context: IsolationContext, route: Route) -> None:
        self._context = context
        self._route = route
        self._set: dict[str, int] = {}
        self._within: list[tuple[str, int]] = []
        self._isolated = True
        self._tell("logger.isolation.setup")

    def _tell(self, event: str, **metadata: Any) -> None:
        emit(event, metadata={**metadata, TEST_ID: self._context.test_id})

    # Levels ----------------------------------------------------------------------------------------------------------

    def isolate_level(self, level: str | int, logger: str | logging.Logger = "") -> None:
        """Let this test log from *level* up, on *logger* and those below it; ends with the test.

        Of several levels the one for the nearest logger counts.

        Args:
            level: A name such as ``"DEBUG"``, or ``"NONE"`` for no records at all.
            logger: Its name; by default all loggers.

        Raises:
            UsageError: There is no such level.

        Example::

            self.logs.isolate_level("DEBUG", "shop.orders")
        """
        number, name = checked_level(level), logger_name(logger)
        self._set[name] = number
        self._isolated = True
        self._apply()
        self._tell("logger.level.set", level=level_name(number), logger=name)

    def restore_level(self) -> None:
        """Forget what `isolate_level` has set: the test logs by the levels of the process again."""
        self._set.clear()
        self._isolated = False
        self._apply()
        self._tell("logger.level.restored", logger="")

    @property
    def level(self) -> str | None:
        """The level of this test's own for all loggers, or ``None``."""
        number = self._route.levels.get("")
        return None if number is None else level_name(number)

    @property
    def isolated(self) -> bool:
        """Whether levels are the test's own: from its beginning until `restore_level`, or again by `isolate_level`."""
        return self._isolated

    @contextmanager
    def with_level(self, level: str | int, logger: str | logging.Logger = "") -> Iterator[None]:
        """Let this test log from *level* up while the block runs, as `isolate_level` does.

        Example::

            with self.logs.with_level("NONE"):
                await order.cancel()  # logs a warning that nobody has to see
        """
        mine = (logger_name(logger), checked_level(level))
        self._within.append(mine)
        self._apply()
        try:
            yield
        finally:
            # Not simply the last: another task of the test may have entered one meanwhile.
            del self._within[next(place for place, each in enumerate(self._within) if each is mine)]
            self._apply()

    def _apply(self) -> None:
        self._route.set_levels({**self._set, **dict(self._within)})

    # Records ---------------------------------------------------------------------------------------------------------

    @property
    def records(self) -> list[logging.LogRecord]:
        """The last 1000 records of the test; each has its ``message``, but ``args`` and ``exc_info`` are emptied."""
        return self._route.kept.records

    @property
    def text(self) -> str:
        """The same as text, a line for each record, as ``LEVEL:logger:message``."""
        return self._route.kept.text

    def capture(self, level: str | int = "DEBUG", logger: str | logging.Logger = "") -> Capture:
        """Return a context manager that collects the test's records from *level* up, and lets them be made.

        Args:
            level: A name such as ``"DEBUG"``.
            logger: Only what this logger and those below it log.

        Raises:
            UsageError: There is no such level.

        Example::

            with self.logs.capture("INFO") as captured:
                await order.place()
            self.assertIn("order placed", captured.text)
        """
        return Capture(self._route, checked_level(level), logger_name(logger), lambda: self._context.clock)

    @overload
    def capture_isolated(self, level: str | int, function: Callable[[], Awaitable[T]]) -> Awaitable[tuple[str, T]]: ...  # type: ignore[overload-overlap]

    @overload
    def capture_isolated(self, level: str | int, function: Callable[[], T]) -> tuple[str, T]: ...

    def capture_isolated(self, level: str | int, function: Callable[[], Any]) -> Any:
        """Call *function* and return ``(text, result)``: what it logged from *level* up, and what it returned.

        If it is async, this has to be awaited.

        Example::

            text, total = self.logs.capture_isolated("DEBUG", basket.total)
            text, total = await self.logs.capture_isolated("DEBUG", order.total)
        """
        return _captured(self.capture(level), function, nullcontext)

    @overload
    def capture_isolated_text(self, level: str | int, function: Callable[[], Awaitable[object]]) -> Awaitable[str]: ...  # type: ignore[overload-overlap]

    @overload
    def capture_isolated_text(self, level: str | int, function: Callable[[], object]) -> str: ...

    def capture_isolated_text(self, level: str | int, function: Callable[[], Any]) -> Any:
        """Call *function* and return what it logged from *level* up; awaited if it is async.

        Example::

            self.assertIn("total 3", self.logs.capture_isolated_text("DEBUG", basket.total))
        """
        found: Any = self.capture_isolated(level, function)
        return _first(found) if isawaitable(found) else found[0]

    @overload
    def with_level_and_capture(  # type: ignore[overload-overlap]
        self, level: str | int, function: Callable[[], Awaitable[T]]
    ) -> Awaitable[tuple[str, T]]: ...

    @overload
    def with_level_and_capture(self, level: str | int, function: Callable[[], T]) -> tuple[str, T]: ...

    def with_level_and_capture(self, level: str | int, function: Callable[[], Any]) -> Any:
        """Be `capture_isolated`, with *level* as the level of the test meanwhile: `level` shows it.

        Example::

            text, _ = self.logs.with_level_and_capture("ERROR", order.cancel)
        """
        return _captured(self.capture(level), function, partial(self.with_level, level))

    async def wait_for(self, pattern: Pattern, timeout: float = 1.0) -> logging.LogRecord:
        """Wait until this test logs something that matches, and return that record; also if it has done so already.

        As `Capture.wait_for`, which waits for what is logged from some point on.

        Example::

            await self.logs.wait_for("listening on port")
        """
        return await self._route.kept.wait_for(pattern, timeout)

    def assertion(self, logger: Any, level: Any, *, wanted: bool, fail: Callable[[str], object]) -> LogAssertion:
        """Return ``assertLogs`` or ``assertNoLogs`` for the records of this test; for test cases.

        Example::

            with self.logs.assertion("shop", "INFO", wanted=True, fail=self.fail) as seen:
                ...
        """
        return LogAssertion(self._route, logger, level, wanted=wanted, fail=fail)


def _captured(capture: Capture, function: Callable[[], Any], around: Callable[[], AbstractContextManager[None]]) -> Any:
    with around(), capture:
        result = function()
    return _captured_on(capture, result, around) if isawaitable(result) else (capture.text, result)


async def _captured_on(
    capture: Capture, rest: Awaitable[T], around: Callable[[], AbstractContextManager[None]]
) -> tuple[str, T]:
    with around(), capture:
        result = await rest
    return capture.text, result


async def _first(found: Awaitable[tuple[str, object]]) -> str:
    return (await found)[0]


@contextmanager
def enter_logs(context: IsolationContext) -> Iterator[Logs]:
    """Give *context* its `Logs`, with the level that its tag ``logger_level`` asks for."""
    route_records()
    route = route_of(context)
    logs = Logs(context, route)
    if (level := context.tags.get("logger_level")) is not None:
        logs.isolate_level(level)
    try:
        yield logs
    finally:
        route.close()
