"""``assertLogs`` and ``assertNoLogs`` for one test: as in ``unittest``, but without touching the logger.

``unittest`` replaces the handlers of the logger for everybody, so two tests at once see each other's records and may
leave the logger without its handlers. Here only the test's own records take another way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from supertester.isolation.logs.route import Assertion, Route

__all__ = ["LogAssertion", "LoggingWatcher"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.

_FORMAT = "%(levelname)s:%(name)s:%(message)s"


class LoggingWatcher(NamedTuple):
    """What ``assertLogs`` gives: the records, and each as text."""

    records: list[logging.LogRecord]
    output: list[str]


class LogAssertion:
    """What ``with`` enters; *fail* is called with what is wrong at its end."""

    def __init__(self, route: Route, logger: Any, level: Any, *, wanted: bool, fail: Callable[[str], object]) -> None:
        self._route = route
        self._wanted = wanted
        self._fail = fail
        self._logger = logger if isinstance(logger, logging.Logger) else logging.getLogger(logger)
        number = logging.getLevelNamesMapping().get(level, level) if level else logging.INFO
        self._handler = handler = logging.Handler()
        handler.setLevel(number)  # Refuses what is no level.
        handler.setFormatter(logging.Formatter(_FORMAT))
        self._assertion = Assertion(self._logger, handler.level, self._take)
        self._watcher = LoggingWatcher([], [])

    def _take(self, record: logging.LogRecord) -> None:
        self._watcher.records.append(record)
        self._watcher.output.append(self._handler.format(record))

    def __enter__(self) -> LoggingWatcher | None:
        self._route.add("assertions", self._assertion)
        return self._watcher if self._wanted else None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> Literal[False]:
        self._route.remove("assertions", self._assertion)
        if kind is None:
            level = logging.getLevelName(self._assertion.level)
            if self._wanted and not self._watcher.records:
                self._fail(f"no logs of level {level} or higher triggered on {self._logger.name}")
            elif not self._wanted and self._watcher.records:
                self._fail(f"Unexpected logs found: {self._watcher.output!r}")
        return False
