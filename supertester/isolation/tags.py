"""`tag`: what a test says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from supertester.errors import UsageError

__all__ = ["tag", "tags_of"]

T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "__supertester_tags__"
_RESERVED = frozenset({"module", "class", "test", "file", "line", "mode"})


def tag(**tags: Any) -> Callable[[T], T]:
    """Tag a test method, or all the tests of a class; the tags end up in ``self.isolation.tags``.

    Some tags configure a feature of isolation, e.g. ``logger_level="DEBUG"``; all others are yours, e.g.
    ``layer="unit"``.

    Raises:
        UsageError: A tag has a name that every test has anyway, such as ``file``.

    >>> @tag(layer="unit")
    ... def test_nothing(self): ...
    >>> tags_of(test_nothing)
    {'layer': 'unit'}
    """
    if taken := sorted(_RESERVED & tags.keys()):
        raise UsageError(f"the tag {taken[0]!r} is set for every test; choose another name for @tag({taken[0]}=...)")

    def decorate(test: T) -> T:
        if not callable(test):
            raise TypeError(f"@tag() goes on a test method or class, got {test!r}")
        setattr(test, _ATTRIBUTE, {**getattr(test, _ATTRIBUTE, {}), **tags})
        return test

    return decorate


def tags_of(test: object) -> Mapping[str, Any]:
    """Return the tags that `tag` gave to *test*."""
    found: Mapping[str, Any] = getattr(test, _ATTRIBUTE, {})
    return found
