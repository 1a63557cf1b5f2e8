"""`tag`: what a test says about itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from supertester.errors import UsageError

__all__ = ["module_tags", "tag", "tags_of"]

T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "__supertester_tags__"
_OF_MODULES = "__tags__"
_RESERVED = frozenset({"module", "class", "test", "file", "line", "mode"})


def tag(*unnamed: Any, **tags: Any) -> Callable[[T], T]:
    """Tag a test method, or all the tests of a class; the tags end up in ``self.isolation.tags``.

    A module tags all of its tests, or a package those of its modules, with a line such as
    ``__tags__ = {"layer": "unit"}``. The more special tag wins.

    Some tags configure a feature of isolation, e.g. ``logger_level="DEBUG"``; all others are yours, e.g.
    ``layer="unit"``. ``timeout`` is how many seconds the runner gives the test; ``None`` is for ever.

    Raises:
        UsageError: A tag has a name that every test has anyway, such as ``file``, or ``timeout`` is no time to give.
        TypeError: One has no name, or ``timeout`` is no number.

    >>> @tag(layer="unit")
    ... def test_nothing(self): ...
    >>> tags_of(test_nothing)
    {'layer': 'unit'}
    """
    for value in unnamed:
        example = f"{value}=True" if isinstance(value, str) and value.isidentifier() else 'layer="unit"'
        raise TypeError(f"a tag has a name and a value, got {value!r}; write @tag({example})")
    caller = sys._getframe(1)
    place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    _check(tags, f"@tag({', '.join(f'{name}=...' for name in tags)}) at {place}")

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


def module_tags(name: str) -> Mapping[str, Any]:
    """Return the tags of all tests in the module *name*: its own ``__tags__``, over those of the packages it is in.

    Raises:
        UsageError: A tag has a name that every test has anyway, ``timeout`` is no time to give, or ``__tags__`` is no
            dictionary.
        TypeError: ``timeout`` is no number.
    """
    parts = name.split(".")
    found: dict[str, Any] = {}
    for end in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:end]))
        tags = getattr(module, _OF_MODULES, None)
        if tags:
            if not isinstance(tags, Mapping):
                raise UsageError(f"__tags__ of a module is a dictionary, got {tags!r} in {module!r}")
            _check(tags, f"__tags__ of {'.'.join(parts[:end])}")
            found.update(tags)
    return found


def _check(tags: Mapping[str, Any], where: str) -> None:
    if taken := sorted(_RESERVED & tags.keys()):
        raise UsageError(f"the tag {taken[0]!r} is set for every test; choose another name for {where}")
    limit = tags.get("timeout")
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise TypeError(f"the tag 'timeout' is a number of seconds, e.g. timeout=5, got {limit!r} in {where}")
    if not limit > 0:  # Which is no number that can be compared, either.
        raise UsageError(
            f"the tag 'timeout' must be more than 0 seconds, got {limit!r} in {where}; timeout=None is for ever"
        )
