"""The levels by which a test's records are made: names, and what a test says about its loggers."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from supertester.errors import UsageError

__all__ = ["NONE", "checked_level", "level_name", "logger_name", "nearest"]

NONE: Final = sys.maxsize
"""The level that no record reaches."""


def checked_level(level: str | int) -> int:
    """Return the number of *level*: a name known to ``logging``, in any case, ``"NONE"`` for no records, or a number.

    Raises:
        UsageError: There is no such level; the message names the known ones.
        TypeError: It is neither a name nor a number.

    >>> checked_level("debug"), checked_level("NONE") == NONE
    (10, True)
    """
    if isinstance(level, bool) or not isinstance(level, (str, int)):
        raise TypeError(f"a log level is a name such as 'DEBUG', got {level!r}")
    if isinstance(level, int):
        if level < 0:
            raise UsageError(f"a log level is 0 or more, got {level!r}; use a name such as 'DEBUG'")
        return level
    known = {**logging.getLevelNamesMapping(), "NONE": NONE}
    number = known.get(level, known.get(level.upper()))
    if number is None:
        names = ", ".join(sorted(known, key=lambda name: known[name]))
        raise UsageError(f"unknown log level {level!r}; choose one of {names}")
    return number


def level_name(level: int) -> str:
    """Return what *level* is called."""
    return "NONE" if level == NONE else logging.getLevelName(level)


def logger_name(logger: Any) -> str:
    """Return the name of *logger*, which is a name or a logger; that of the root is empty.

    Raises:
        TypeError: It is neither.
    """
    name = logger.name if isinstance(logger, logging.Logger) else logger
    if not isinstance(name, str):
        raise TypeError(f"a logger is given by its name, or as it is, got {logger!r}; '' is the root of all")
    return "" if name == logging.root.name else name


def nearest(levels: dict[str, int], name: str) -> int | None:
    """Return the level that *levels* has for the logger *name*, or else for the nearest logger above it."""
    while name:
        if name in levels:
            return levels[name]
        name = name.rpartition(".")[0]
    return levels.get("")
