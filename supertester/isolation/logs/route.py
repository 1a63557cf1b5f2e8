"""`Route`: where the records of one test go, and from which level on they are made."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from supertester._core.clock import Clock
from supertester._core.forking import free_in_children
from supertester.errors import UsageError
from supertester.isolation.identity import find
from supertester.isolation.logs.levels import nearest
from supertester.isolation.logs.recording import Recording, entry_of

__all__ = ["SPECIAL", "Assertion", "Capture", "Route", "Stock"]

_KEPT: Final = 1000
"""Records that are kept of each test."""
_CAPTURED: Final = 10_000
"""Records that a capture keeps."""

SPECIAL: dict[str, Route] = {}
"""The routes with levels, captures or assertions of their own, by the ids of their tests."""
_changing = free_in_children(threading.Lock())
"""Held while a route changes, never while a record is on its way."""


class Stock(NamedTuple):
    """What ``logging`` does itself."""

    is_enabled_for: Callable[[logging.Logger, int], bool]
    effective_level: Callable[[logging.Logger], int]
    call_handlers: Callable[[logging.Logger, logging.LogRecord], None]


class Capture(Recording):
    """Collects the records of a test from a level up, those of its servers and threads among them, while it is entered.

    ``records`` are the records as they were made, ``text`` is a line for each. At most 10,000 are kept, the last ones;
    ``dropped`` says how many more there were. It can be entered again, and then goes on.
    """

    def __init__(self, route: Route, level: int, name: str, clock: Callable[[], Clock | None]) -> None:
        super().__init__(_CAPTURED, clock)
        self._route = route
        self.level = level
        self._name = name

    def __enter__(self) -> Capture:
        self._route.add("captures", self)
        return self

    def __exit__(self, *_: object) -> None:
        self._route.remove("captures", self)

    def covers(self, logger: logging.Logger) -> bool:
        """Say whether records of *logger* belong here."""
        return not self._name or f"{logger.name}.".startswith(f"{self._name}.")


class Assertion:
    """What ``assertLogs`` does to one logger, for one test: all records that reach it are taken, from a level up."""

    def __init__(self, logger: logging.Logger, level: int, take: Callable[[logging.LogRecord], object]) -> None:
        self.logger = logger
        self.level = level
        self.take = take


class Route:
    """Where the records of one test go, and from which level on they are made.

    What it consists of is replaced and never changed, as records come from any thread.
    """

    def __init__(self, test_id: str, clock: Callable[[], Clock | None]) -> None:
        self._test_id = test_id
        self.kept = Recording(_KEPT, clock)
        self.levels: dict[str, int] = {}
        self.captures: tuple[Capture, ...] = ()
        self.assertions: tuple[Assertion, ...] = ()

    def add(self, kind: Literal["captures", "assertions"], part: object) -> None:
        """Add a capture or an assertion.

        Raises:
            UsageError: The test has ended.
        """
        if find(self._test_id) is None:
            raise UsageError(f"test {self._test_id!r} has ended; nothing that it logs can be captured any more")
        with _changing:
            self._change(**{kind: (*getattr(self, kind), part)})

    def remove(self, kind: Literal["captures", "assertions"], part: object) -> None:
        """Remove what `add` added last, if the test has not ended meanwhile."""
        with _changing:
            parts = getattr(self, kind)
            place = max((place for place, each in enumerate(parts) if each is part), default=len(parts))
            self._change(**{kind: parts[:place] + parts[place + 1 :]})

    def set_levels(self, levels: dict[str, int]) -> None:
        """Let these be the test's own levels, by the names of loggers."""
        with _changing:
            self._change(levels=levels)

    def close(self) -> None:
        """Forget levels, captures and assertions."""
        with _changing:
            self._change(levels={}, captures=(), assertions=())

    def _change(self, **parts: Any) -> None:
        vars(self).update(parts)
        if (self.levels or self.captures or self.assertions) and find(self._test_id) is not None:
            SPECIAL[self._test_id] = self
        else:
            SPECIAL.pop(self._test_id, None)

    def enables(self, stock: Stock, logger: logging.Logger, level: int, *, own: bool) -> bool:
        """Say whether *logger* has to make records of *level*; those of others concern the assertions alone."""
        if own:
            if any(level >= capture.level and capture.covers(logger) for capture in self.captures):
                return True
            explicit = nearest(self.levels, logger.name)
            if explicit is not None and level >= explicit:
                return True
            if explicit is not None and not self.assertions:
                return False
        else:
            explicit = None
        if logger.disabled or level <= logger.manager.disable:
            return False
        return level >= self._level_around(stock, logger, explicit)

    def effective_level(self, stock: Stock, logger: logging.Logger, *, own: bool) -> int:
        """Return the level from which *logger* has to make records."""
        explicit = nearest(self.levels, logger.name) if own else None
        captures = [each.level for each in self.captures if own and each.covers(logger)]
        return min([self._level_around(stock, logger, explicit), *captures])

    def _level_around(self, stock: Stock, logger: logging.Logger, explicit: int | None) -> int:
        """Return the level of *logger* without captures: *explicit*, or its own; or that of an assertion if lower."""
        level = stock.effective_level(logger) if explicit is None else explicit
        above: logging.Logger | None = logger if self.assertions else None
        while above is not None:
            if (assertion := self.assertion_on(above)) is not None:
                return min(level, assertion.level)
            above = None if above.level else above.parent  # The level of an assertion is that of its logger.
        return level

    def assertion_on(self, logger: logging.Logger) -> Assertion | None:
        """Return the assertion on *logger* that was entered last, or ``None``."""
        return next((each for each in reversed(self.assertions) if each.logger is logger), None)

    def take(self, stock: Stock, logger: logging.Logger, record: logging.LogRecord, *, own: bool) -> None:
        """Take *record* to who wants it."""
        level = record.levelno
        # What nothing enables was not made by the logger but given to it, and goes on as it always did.
        natural = _is_natural(stock, logger, level) or not self.enables(stock, logger, level, own=own)
        if own:
            explicit = nearest(self.levels, logger.name)
            natural = natural and (explicit is None or level >= explicit)
            entry = entry_of(record)
            self.kept.add(entry.without_objects())
            for capture in self.captures:
                if level >= capture.level and capture.covers(logger):
                    capture.add(entry)
        if self.assertions:
            below, assertion = self._way_up(logger)
            if assertion is not None:
                _call_handlers(below if natural else [], record)
                if level >= assertion.level:
                    assertion.take(record)
                return
        if natural:
            stock.call_handlers(logger, record)

    def _way_up(self, logger: logging.Logger) -> tuple[list[logging.Logger], Assertion | None]:
        """Return the loggers whose handlers get what *logger* logs, and the assertion that the last one runs into."""
        above: logging.Logger | None = logger
        below: list[logging.Logger] = []
        while above is not None:
            if (assertion := self.assertion_on(above)) is not None:
                return below, assertion
            below.append(above)
            above = above.parent if above.propagate else None
        return below, None


def _is_natural(stock: Stock, logger: logging.Logger, level: int) -> bool:
    """Say what ``Logger.isEnabledFor`` would; that asks for the effective level, and keeps what it is told."""
    return not logger.disabled and level > logger.manager.disable and level >= stock.effective_level(logger)


def _call_handlers(loggers: list[logging.Logger], record: logging.LogRecord) -> None:
    for logger in loggers:
        for handler in logger.handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
