"""`DeclaredTest`: what is known of a test before it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from supertester._core.tags import module_tags, tags_of
from supertester._core.values import dataclass

__all__ = ["DeclaredTest", "declare", "fixture_of", "id_of"]


_FIXTURES = ("setUpClass", "tearDownClass", "asyncSetUpClass", "asyncTearDownClass")
_BASES = frozenset(
    {"unittest.case", "unittest.async_case", "builtins", "supertester.case", "supertester.mixins.fixtures"}
)
"""Modules whose classes have such methods for others to override."""


@dataclass(frozen=True, kw_only=True)
class DeclaredTest:
    """A test of a load, without the test itself: a value that crosses processes."""

    index: int
    """Its place in the load, from 0: unique, where ids need not be."""
    test_id: str
    """What ``id()`` of the test says."""
    module: str
    class_name: str
    """The qualified name of its class within the module."""
    method: str
    """The name of its method; empty for what is no method, e.g. a doctest."""
    description: str = ""
    """The first line of its docstring, as ``unittest`` shows it."""
    file: str = ""
    line: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)
    """What `tag` says about its module, its class and, strongest, about itself; only values that are plain data."""
    fixture: str | None = None
    """The fixture that it shares with others, e.g. ``"class tests.test_bank.TestBank"``; tests of one fixture are
    run by one worker, one after the other."""
    attempt: int = 1
    own_limit: float | None = 0.0
    """Seconds that its class allows it, where it is an `IsolatedTestCase`, which keeps to that itself; ``None`` is for
    ever."""
    alone: str = ""
    """Why it may not run beside others in one process: its tag ``alone``, or its isolation; empty if it may."""

    @property
    def class_id(self) -> str:
        """The dotted name of its class."""
        return f"{self.module}.{self.class_name}"


def declare(index: int, test: Any) -> DeclaredTest:
    """Say what *test*, the one number *index* of its load, is."""
    cls = type(test)
    method = getattr(test, "_testMethodName", "")
    function = getattr(test, method, None) if method else None
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    tags = _tags_of(cls, function)
    return DeclaredTest(
        index=index,
        test_id=id_of(test),
        module=cls.__module__,
        class_name=cls.__qualname__,
        method=method,
        description=_description(test),
        file=code.co_filename if code else "",
        line=code.co_firstlineno if code else 0,
        tags={name: value for name, value in tags.items() if _is_plain(value)},
        fixture=fixture_of(cls),
        alone=_why_alone(cls, tags),
    )


def id_of(test: Any) -> str:
    """Return the id of *test*, also if it is just something to call."""
    identify = getattr(test, "id", None)
    return str(identify()) if callable(identify) else str(test)


def _tags_of(cls: type, function: object) -> Mapping[str, Any]:
    return {**module_tags(cls.__module__), **tags_of(cls), **tags_of(function)}


def _why_alone(cls: type, tags: Mapping[str, Any]) -> str:
    if reason := tags.get("alone"):
        return str(reason)
    case: Any = sys.modules.get("supertester.case")
    if case is None or not issubclass(cls, case.IsolatedTestCase):
        return ""
    mode = cls._IsolatedTestCase__options.isolation  # type: ignore[attr-defined]
    return f"isolation={mode!r}" if mode == "contamination_detection" else ""


def _description(test: Any) -> str:
    describe = getattr(test, "shortDescription", None)
    return str(describe() or "") if callable(describe) else ""


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _own_limit(cls: type) -> float | None:
    case = sys.modules.get("supertester.case")
    if case is None or not issubclass(cls, case.IsolatedTestCase):
        return 0.0
    limit: float | None = case.timeout_of(cls)
    return limit


def fixture_of(cls: type) -> str | None:
    """Return what fixture tests of *cls* share, or ``None``."""
    module = sys.modules.get(cls.__module__)
    if module is not None and (hasattr(module, "setUpModule") or hasattr(module, "tearDownModule")):
        return f"module {cls.__module__}"
    return f"class {cls.__module__}.{cls.__qualname__}" if _has_class_fixture(cls) else None


def _has_class_fixture(cls: type) -> bool:
    """Say whether a class between *cls* and ``TestCase`` says what to do once for its tests."""
    return any(name in vars(base) for base in cls.__mro__ if base.__module__ not in _BASES for name in _FIXTURES)
