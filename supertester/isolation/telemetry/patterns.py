"""Which events are meant: by name, by glob, or by a function."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.telemetry import TelemetryEvent

__all__ = ["Metadata", "Pattern", "checked_names", "matches_name", "metadata_test", "pattern_test"]

Pattern = str | Callable[[TelemetryEvent], object]
"""The name of an event, a glob such as ``"myapp.order.*"``, or a function of the event."""
Metadata = Mapping[str, Any] | Callable[[Mapping[str, Any]], object]
"""What the metadata has to contain, or a function of it."""

_ABOUT_TELEMETRY = "supertester.telemetry."


def checked_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return *names*, one or several, as a tuple.

    Raises:
        TypeError: One is no string.
        UsageError: There is none, or one is empty.
    """
    found: tuple[Any, ...] = (names,) if isinstance(names, str) else tuple(names)
    if wrong := [name for name in found if not isinstance(name, str)]:
        raise TypeError(f"names of events are strings, got {wrong[0]!r}; a function selects events in an assertion")
    if not found or not all(found):
        raise UsageError(f"at least one name of an event is wanted, and none of them empty, got names={names!r}")
    return found


def matches_name(names: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that says whether a name is one of *names*, which may be globs.

    What the library says about telemetry itself is meant only by who says ``supertester.telemetry.`` himself.
    """
    usual = _any_of(names)
    special = _any_of(tuple(name for name in names if name.startswith(_ABOUT_TELEMETRY)))
    return lambda name: bool((special if name.startswith(_ABOUT_TELEMETRY) else usual)(name))


def _any_of(names: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(fnmatch.translate, names)) if names else "(?!)").match


def pattern_test(pattern: Pattern) -> Callable[[TelemetryEvent], object]:
    """Return a function that says whether *pattern* means an event.

    Raises:
        TypeError: It is neither a string nor a function.
    """
    if isinstance(pattern, str):
        matches = matches_name(checked_names(pattern))
        return lambda event: matches(event.name)
    if callable(pattern):
        return pattern
    raise TypeError(f"an event is given by its name, a glob or a function of the event, got {pattern!r}")


def metadata_test(metadata: Metadata | None) -> Callable[[Mapping[str, Any]], object]:
    """Return a function that says whether the metadata of an event is as *metadata* wants it.

    Raises:
        TypeError: It is neither a mapping nor a function nor ``None``.
    """
    if metadata is None:
        return lambda _: True
    if isinstance(metadata, Mapping):
        wanted = dict(metadata)
        return lambda found: all(key in found and found[key] == value for key, value in wanted.items())
    if callable(metadata):
        return metadata
    raise TypeError(f"metadata is wanted as a mapping or a function of it, got {describe(metadata)}")
