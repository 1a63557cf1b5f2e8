"""The one place through which the records of all tests go, each to its own.

It sits in ``logging.Logger`` itself, once for the process, and not in a list of handlers: so it also sees what loggers
without propagation log, what loggers log that a configuration has disabled or that are made later, and nothing that
replaces handlers can remove it. Levels of loggers are never changed: a test's own levels are asked for on the way.

A record that a test's own levels alone let through goes to that test. What ``logging`` would have let through anyway
also goes where it would have gone.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from supertester._core.clock import Clock
from supertester.context import IsolationContext
from supertester.isolation.identity import find, is_alone, owner
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.logs.route import SPECIAL, Route, Stock

__all__ = ["log_evidence", "route_of", "route_records", "unrecorded"]


_SHOWN: Final = 20
"""Records that the report of a failing test shows."""

_routes: dict[str, Route] = {}
"""The routes of the tests that have logged something, by their ids."""
_is_aside: ContextVar[bool] = ContextVar("supertester.logs.aside", default=False)


# Which test a record belongs to --------------------------------------------------------------------------------------


def route_of(context: IsolationContext) -> Route:
    """Return the route of a running test, making it if need be."""
    route = _routes.get(context.test_id)
    if route is None:
        for test_id in [each for each in tuple(_routes) if find(each) is None]:
            _routes.pop(test_id, None)
        route = _routes.setdefault(context.test_id, Route(context.test_id, partial(_clock_of, context.test_id)))
    return route


def _clock_of(test_id: str) -> Clock | None:
    context = find(test_id)
    return None if context is None else context.clock


class _Unrecorded:
    """See `unrecorded`."""

    def __enter__(self) -> None:
        _is_aside.set(True)

    def __exit__(self, *_: object) -> None:
        _is_aside.set(False)


unrecorded: Final = _Unrecorded()
"""In its ``with``, not to be nested, records belong to no test: the library logs, and not the test."""


def _recording_route() -> tuple[Route | None, bool]:
    """Return the route that a record of the present code takes, if any, and whether it is that test's own."""
    if _is_aside.get():
        return None, False
    context = owner()
    if context is None:
        return _lone_assertion(), False
    route = _routes.get(context.test_id)
    if route is None and context.has_feature is not None and context.has_feature("logs"):
        route = route_of(context)
    return route, True


def _special_route() -> tuple[Route | None, bool]:
    """Return whose levels count for the present code, and whether it is that test's own."""
    if _is_aside.get():
        return None, False
    context = owner()
    return (_lone_assertion(), False) if context is None else (SPECIAL.get(context.test_id), True)


def _lone_assertion() -> Route | None:
    """Return the route of the only running test if it asserts: then it sees what belongs to nobody, as ever."""
    routes = tuple(SPECIAL.values())
    return routes[0] if len(routes) == 1 and routes[0].assertions and is_alone() else None


def last_records(context: IsolationContext, most: int) -> list[str]:
    """Return the last log records of a test as text, no more than *most*."""
    route = _routes.get(context.test_id)
    return [] if route is None else route.kept.last(most)


def log_evidence(context: IsolationContext) -> str:
    """Return the last log records of a test, to be shown with its failure, or an empty string."""
    route = _routes.get(context.test_id)
    lines = [] if route is None else route.kept.last(_SHOWN)
    if route is None or not lines:
        return ""
    total = len(route.kept.entries) + route.kept.dropped
    head = f"the last {len(lines)} of {total} log records" if total > len(lines) else "log records"
    return f"{head} of this test:\n  " + "\n".join(lines).replace("\n", "\n  ")


# The hooks in `logging.Logger` ---------------------------------------------------------------------------------------


def route_records() -> None:
    """See to it that records go to their tests, from now on."""
    install_once(_install)


def _install() -> Undo:
    stock = Stock(logging.Logger.isEnabledFor, logging.Logger.getEffectiveLevel, logging.Logger.callHandlers)
    active = [True]
    undos = [
        replace_attribute(logging.Logger, "isEnabledFor", _enabling(stock, active)),
        replace_attribute(logging.Logger, "getEffectiveLevel", _levelling(stock, active)),
        replace_attribute(logging.Logger, "handle", _handling(logging.Logger.handle)),
        replace_attribute(logging.Logger, "callHandlers", _calling(stock, active)),
        replace_attribute(logging, "basicConfig", _configuring(logging.basicConfig)),
    ]

    def undo() -> None:
        active.clear()  # Whoever has wrapped one of these goes on calling it.
        for each in undos:
            each()
        _routes.clear()
        SPECIAL.clear()

    return undo


def _enabling(stock: Stock, active: list[bool]) -> Callable[[logging.Logger, int], bool]:
    @functools.wraps(stock.is_enabled_for)
    def isEnabledFor(self: logging.Logger, level: int) -> bool:  # noqa: N802 - of Logger
        if SPECIAL and active:
            route, own = _special_route()
            if route is not None:
                return route.enables(stock, self, level, own=own)
        # Never a test's own answer: this one goes into the logger's cache.
        return stock.is_enabled_for(self, level)

    return isEnabledFor


def _levelling(stock: Stock, active: list[bool]) -> Callable[[logging.Logger], int]:
    @functools.wraps(stock.effective_level)
    def getEffectiveLevel(self: logging.Logger) -> int:  # noqa: N802 - of Logger
        if SPECIAL and active:
            route, own = _special_route()
            if route is not None:
                return route.effective_level(stock, self, own=own)
        return stock.effective_level(self)

    return getEffectiveLevel


def _handling(
    previous: Callable[[logging.Logger, logging.LogRecord], None],
) -> Callable[[logging.Logger, logging.LogRecord], None]:
    @functools.wraps(previous)
    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if not (self.disabled and SPECIAL and self.isEnabledFor(record.levelno)):
            previous(self, record)
            return
        # Somebody's configuration has disabled the logger, and a test wants its records all the same.
        passed: Any = self.filter(record)
        if passed:
            self.callHandlers(passed if isinstance(passed, logging.LogRecord) else record)

    return handle


def _calling(stock: Stock, active: list[bool]) -> Callable[[logging.Logger, logging.LogRecord], None]:
    @functools.wraps(stock.call_handlers)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - of Logger
        route, own = _recording_route() if active else (None, False)
        if route is None:
            stock.call_handlers(self, record)
        else:
            route.take(stock, self, record, own=own)

    return callHandlers


def _configuring(previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def basicConfig(**options: Any) -> None:  # noqa: N802 - of logging
        # In `unittest` it finds a handler of `assertLogs` at the root logger; `logging.info` and the like call it too.
        route = _special_route()[0] if SPECIAL else None
        if route is None or route.assertion_on(logging.root) is None or options.get("force"):
            previous(**options)

    return basicConfig
