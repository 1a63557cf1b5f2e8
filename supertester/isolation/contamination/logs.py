"""The configuration of ``logging`` and ``warnings``."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from supertester.isolation.contamination.difference import (
    ABSENT,
    Difference,
    Resource,
    Since,
    is_ours,
    same,
)
from supertester.isolation.contamination.kinds import attribute, contents, slot
from supertester.isolation.contamination.showing import changed_lines

__all__ = ["RESOURCES"]


class _Settings(NamedTuple):
    level: int = logging.NOTSET
    disabled: bool = False
    propagate: bool = True
    handlers: tuple[Any, ...] = ()
    filters: tuple[Any, ...] = ()


_FRESH = _Settings()


def _loggers() -> dict[str, logging.Logger]:
    known = logging.root.manager.loggerDict.items()
    return {"root": logging.root, **{name: each for name, each in list(known) if isinstance(each, logging.Logger)}}


def _settings() -> dict[str, _Settings]:
    return {
        name: _Settings(
            each.level, bool(each.disabled), bool(each.propagate), tuple(each.handlers), tuple(each.filters)
        )
        for name, each in _loggers().items()
    }


def _logger_differences(before: Mapping[str, _Settings], since: Since) -> Iterator[Difference]:
    loggers = _loggers()
    for name, now in _settings().items():
        was = before.get(name)
        if was is None and name.partition(".")[0] in since.imported:
            continue  # Its module configures it when it is imported.
        if was != now:
            yield from _settings_differences(loggers[name], was or _FRESH, now, since)


def _settings_differences(logger: logging.Logger, was: _Settings, now: _Settings, since: Since) -> Iterator[Difference]:
    what = f"of logger {logger.name!r}"
    if was.level != now.level:
        yield Difference(
            f"the level {what}",
            logging.getLevelName(was.level),
            logging.getLevelName(now.level),
            partial(logger.setLevel, was.level),
        )
    for field in ("disabled", "propagate"):
        if getattr(was, field) != getattr(now, field):
            undo = partial(setattr, logger, field, getattr(was, field))
            yield Difference.of(f"{field!r} {what}", getattr(was, field), getattr(now, field), undo)
    for field in ("handlers", "filters"):
        old, new = (_without_own(getattr(each, field)) for each in (was, now))
        if not (len(old) == len(new) and all(map(same, old, new))):
            undo = partial(_put_list, getattr(logger, field), old, since)
            yield Difference.of(f"the {field} {what}", old, new, undo, changed_lines(old, new))


def _without_own(values: tuple[Any, ...]) -> list[Any]:
    """Return *values* without this library's, and without those that only say that nobody listens."""
    return [each for each in values if not (is_ours(each) or isinstance(each, logging.NullHandler))]


def _put_list(holder: list[Any], values: list[Any], since: Since) -> None:
    own = [each for each in holder if each not in _without_own((each,))]
    holder[:] = [*own, *values]


# Handlers that were made and neither attached nor closed --------------------------------------------------------------


def _live_handlers() -> dict[int, Any]:
    found = (reference() for reference in list(logging._handlerList))  # type: ignore[attr-defined]
    return {id(each): each for each in found if each is not None and not getattr(each, "_closed", False)}


def _new_handlers(before: frozenset[int], since: Since) -> list[Any]:
    found = [each for number, each in _live_handlers().items() if number not in before]
    return [each for each in found if not since.tolerates(ABSENT, each) and not isinstance(each, logging.NullHandler)]


def _handler_differences(before: frozenset[int], since: Since) -> Iterator[Difference]:
    if not _new_handlers(before, since):
        return
    gc.collect()  # Most are in reference cycles with what uses them.
    for handler in _new_handlers(before, since):
        yield Difference.of("a handler of logging that is not closed", ABSENT, handler, handler.close)


def _put_disable(level: int) -> None:
    logging.disable(level)


def _put_filters() -> None:
    warnings._filters_mutated()  # type: ignore[attr-defined]


RESOURCES: list[Resource] = [
    Resource("loggers", _settings, _logger_differences),
    Resource("handlers", lambda: frozenset(_live_handlers()), _handler_differences),
    contents("logging", "_handlers"),
    slot("logging.disable()", lambda: logging.root.manager.disable, _put_disable),
    slot("the logger class", logging.getLoggerClass, logging.setLoggerClass),
    slot("the factory of log records", logging.getLogRecordFactory, logging.setLogRecordFactory),
    attribute("logging", "raiseExceptions"),
    attribute("logging", "lastResort"),
    attribute("logging", "_warnings_showwarning"),
    contents("logging", "_levelToName"),
    contents("logging", "_nameToLevel"),
    contents("warnings", "filters", after=_put_filters),
    attribute("warnings", "showwarning"),
    attribute("warnings", "formatwarning"),
]
