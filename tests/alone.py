"""Tests that must have the process for themselves, because what they test belongs to the whole process."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import unittest
from collections.abc import Callable
from typing import Any, TypeVar

from supertester.case import IsolatedTestCase
from supertester.isolation import Options, isolation_allows_async

__all__ = ["alone", "reason_to_be_alone"]

T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "__alone__"
_FIXTURES = ("setUp", "asyncSetUp", "setUpClass")
# What replaces or reads something of the whole process for as long as the test runs.
_TOOLS = re.compile(
    r"\b(mock\.patch|assertWarns|assertLogs|assertNoLogs|catch_warnings|redirect_std\w+|signal\.\w+|uninstall\(\)|set_event_loop_policy|contamination_detection"
    r"|set_env\(|logging\.disable|gc\.(disable|enable)|threading\.Thread\.\w+ =|(\w+hook|showwarning|_warn\w+) ="
    # A fork beside gRPC of another test, whose threads are not in the child, is the end of the child now and then.
    r"|get_context\(\"fork\"|\(\"fork\", |get_all_start_methods|METHODS"
    r"|setswitchinterval|settrace|setprofile|tracemalloc|gc\.collect|os\.environ|os\.chdir|monkeypatch)"
)
# Before 3.12.9 and 3.13.2 Python may crash if it stops noting allocations while another thread makes one
# (https://github.com/python/cpython/issues/128679).
_MAY_CRASH = sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)
_NOTES_ALLOCATIONS = re.compile(
    r"\b(measure_operation|\w*_performance|assert_performance\w*|assert_memory\w*|assert_no_regression|run_scenario)\b"
)


def alone(reason: str) -> Callable[[T], T]:
    """Mark a test, or a class of tests, that cannot run beside others; *reason* says what it changes or compares."""

    def mark(test: T) -> T:
        setattr(test, _ATTRIBUTE, reason)
        return test

    return mark


def reason_to_be_alone(cls: type[unittest.TestCase], name: str) -> str | None:
    """Return why the test *name* of *cls* cannot run beside others, or ``None``.

    It says so, or its class or module does (by ``__alone__ = "..."``), or it uses a tool that cannot.
    """
    method = getattr(cls, name)
    for each in (method, cls, sys.modules[cls.__module__]):
        if reason := getattr(each, _ATTRIBUTE, None):
            return str(reason)
    if issubclass(cls, IsolatedTestCase):
        options: Options = cls._IsolatedTestCase__options  # type: ignore[attr-defined]
        if not isolation_allows_async(options.isolation):
            return f"isolation={options.isolation!r}"
    fixtures = [vars(each)[part] for each in cls.__mro__ for part in _FIXTURES if part in vars(each)]
    for part in (method, *fixtures):
        if tool := _tool_in(inspect.unwrap(getattr(part, "__func__", part))):
            return f"uses {tool}"
    return None


@functools.cache
def _tool_in(function: Any) -> str | None:
    if not getattr(function, "__module__", "").startswith("tests"):
        return None
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    found = _TOOLS.search(source) or (_NOTES_ALLOCATIONS.search(source) if _MAY_CRASH else None)
    return found.group() if found else None
