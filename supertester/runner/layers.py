"""The layers of a test suite: how much of the system a test runs with, and so what it may do and how long it may take.

``unit``: one part by itself, which starts no process. ``component``: several parts, doubles for what is outside.
``system``: the real thing, end to end. ``stress``: load, faults and exhaustion, for as long as it takes. A test says
its layer with ``@tag(layer="unit")``; a module or package says it for all of its tests with a line
``__tags__ = {"layer": "unit"}``.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest
from supertester.runner.tag_expression import tag_matcher

__all__ = ["LAYERS", "LIMITS", "layer_counts", "layer_of", "parse_limit", "select"]

LIMITS: Final[Mapping[str, float | None]] = {"unit": 1.0, "component": 10.0, "system": 60.0, "stress": None}
"""Seconds that a test of each layer may take; ``None`` is for ever."""
LAYERS: Final = tuple(LIMITS)


def layer_of(test: DeclaredTest) -> str | None:
    """Return the layer that *test* says it is of, or ``None``.

    Raises:
        UsageError: There is no such layer.
    """
    layer = test.tags.get("layer")
    if layer is None or layer in LIMITS:
        return layer
    raise UsageError(f"{test.test_id} has the tag layer={layer!r}, which is no layer{_meant(str(layer))}")


def layer_counts(tests: Sequence[DeclaredTest]) -> dict[str, int]:
    """Return how many of *tests* are of each layer; those of none are under an empty name."""
    counts = Counter(test.tags.get("layer") or "" for test in tests)
    return {layer: counts[layer] for layer in (*LAYERS, "") if counts[layer] or layer}


def select(
    tests: Sequence[DeclaredTest], *, layers: Collection[str] = (), tag: str | None = None
) -> list[DeclaredTest]:
    """Return those of *tests* that are of one of *layers*, if any are named, and whose tags are as *tag* says.

    Raises:
        UsageError: A layer is unknown or has no test, or no test has such tags: a run of nothing would pass.
    """
    for layer in layers:
        if layer not in LIMITS:
            raise UsageError(f"there is no layer {layer!r}{_meant(layer)}")
        if all(layer_of(test) != layer for test in tests):
            raise UsageError(
                f"no test is of the layer {layer!r} ({_counted(tests)}); tag tests with @tag(layer={layer!r}), or "
                f"their module or package with __tags__ = {{'layer': {layer!r}}}"
            )
    chosen = [test for test in tests if not layers or layer_of(test) in layers]
    if tag is not None:
        matches = tag_matcher(tag)
        chosen = [test for test in chosen if matches(test.tags)]
        if not chosen:
            raise UsageError(f"no test has such tags: {tag!r} (of {len(tests)} tests)")
    return chosen


def parse_limit(text: str) -> tuple[str, float | None]:
    """Return the layer and the seconds of a text such as ``unit=0.5``; ``none`` is for ever.

    Raises:
        UsageError: The text says something else.
    """
    layer, _, limit = text.partition("=")
    if layer not in LIMITS:
        raise UsageError(f"there is no layer {layer!r}{_meant(layer)}")
    try:
        seconds = None if limit == "none" else float(limit)
    except ValueError:
        raise UsageError(f"a limit is seconds or 'none', got {text!r}; write e.g. {layer}=0.5") from None
    if seconds is not None and not seconds > 0:
        raise UsageError(f"a limit is more than 0 seconds, got {text!r}")
    return layer, seconds


def _counted(tests: Sequence[DeclaredTest]) -> str:
    counts = [f"{count} of {layer or 'none'}" for layer, count in layer_counts(tests).items() if count]
    return f"{len(tests)} tests: {', '.join(counts)}" if tests else "there is no test at all"


def _meant(layer: str) -> str:
    close = difflib.get_close_matches(layer, LAYERS, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; the layers are {', '.join(LAYERS)}"
