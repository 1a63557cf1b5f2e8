"""Sleeps in tests: each is noticed with its file and line, because a test that sleeps guesses how long things take.

What counts is a call of ``time.sleep`` or ``asyncio.sleep`` for more than no time, made directly by *test code*:

- code in the file of the running test, its lambdas and inner functions included;
- code of a module that defines a class of the test case's MRO, outside of this library and the standard library;
- code of a test module: ``conftest``, a module named ``test_*`` or ``*_test``, or one in a package ``tests``.

Everything else may sleep: code under test, other packages, and a wait of this library. Who passes ``time.sleep`` on, to
a thread or an executor, does not call it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from supertester._core.origin import caller, is_foreign, show_line
from supertester._core.replacing import StandIn
from supertester._core.tags import tag
from supertester.context import IsolationContext, Problem
from supertester.errors import UsageError
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once, replace_attribute

__all__ = ["Watched", "allow_sleep", "is_test_module", "watch"]

T = TypeVar("T", bound=Callable[..., Any])

_ALLOWED = "allow_sleep"


def allow_sleep(test: object = None, /, *, reason: str = "") -> Callable[[T], T]:
    """Let a test, or all the tests of a class, sleep; the reason is kept in the tag ``allow_sleep``.

    Args:
        test: Not to be given; a test stands here when the reason was forgotten.
        reason: Why there is no condition to wait for.

    Raises:
        UsageError: There is no reason.
        TypeError: The reason is no text.

    >>> @allow_sleep(reason="the modem has no signal for being ready")
    ... def test_dials(self): ...
    """
    if not isinstance(reason, str):
        raise TypeError(f"a reason is a text, got reason={reason!r}")
    if test is not None or not reason.strip():
        raise UsageError(
            f"allow_sleep needs a reason, got reason={reason!r}; write @allow_sleep(reason='...') and say why there is "
            "no condition to wait for"
        )
    return tag(**{_ALLOWED: reason})


@dataclass(frozen=True)
class Watched:
    """How the sleeps of a test are watched: what one does (``"fail"``, ``"warn"``), and the modules of its classes.

    In virtual time only ``time.sleep`` is: ``awaits`` is false.
    """

    policy: str
    modules: frozenset[str]
    awaits: bool


def watch(context: IsolationContext, policy: str, modules: frozenset[str], *, awaits: bool = True) -> None:
    """Notice from now on the sleeps in the test of *context*; those of ``asyncio.sleep`` only if *awaits*."""
    install_once(_install)
    if not modules <= _seen:
        _see(modules)
    context.sleeps = Watched(policy, modules, awaits)


def is_test_module(name: str) -> bool:
    """Say whether a module of this name is one of tests, and not of the standard library.

    >>> [is_test_module(name) for name in ("shop.tests.support", "test_shop", "conftest", "shop", "unittest.case")]
    [True, True, True, False, False]
    """
    parts = name.split(".")
    last = parts[-1]
    is_one = "tests" in parts or last == "conftest" or last.startswith("test_") or last.endswith("_test")
    return is_one and parts[0] not in sys.stdlib_module_names


# What a sleep does --------------------------------------------------------------------------------------------------


def _noticed(name: str, seconds: Any, frame: FrameType) -> None:
    """Do with a sleep that the code of *frame* asks for what the running test wants, if that code is the test's."""
    context = owner()
    if context is None or context.sleeps is None or not _is_positive(seconds) or not _is_test_code(frame, context):
        return
    if context.tags.get(_ALLOWED) or (name == "asyncio.sleep" and not context.sleeps.awaits):
        return
    code = frame.f_code
    message = (
        f"{show_line(code.co_filename, frame.f_lineno, code.co_name)} sleeps for {seconds:g} s ({name}); wait for the "
        "condition instead, e.g. with assert_eventually(), or say why there is none with @allow_sleep(reason=...)"
    )
    if context.sleeps.policy == "warn":
        _warn(message, frame)
    else:
        _report(context, message)


def _report(context: IsolationContext, message: str) -> None:
    """Report one sleep per line: a loop that sleeps is one mistake."""
    place = message.partition(" sleeps for ")[0]
    known = (each.message.startswith(place + " ") for each in context.problems if each.kind == "sleep")
    if not any(known):
        context.report(Problem("sleep", message))


def _warn(message: str, frame: FrameType) -> None:
    scope = frame.f_globals
    warnings.warn_explicit(
        message,
        UserWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=scope.get("__name__"),
        registry=scope.setdefault("__warningregistry__", {}),
    )


def _is_positive(seconds: Any) -> bool:
    try:
        return bool(seconds > 0)
    except TypeError:
        return False  # The sleep itself will say so.


def _is_test_code(frame: FrameType, context: IsolationContext) -> bool:
    filename = frame.f_code.co_filename
    if filename == context.source:
        return True
    if is_foreign(filename):
        return False
    module = frame.f_globals.get("__name__")
    return module in context.sleeps.modules or (isinstance(module, str) and is_test_module(module))


# What is put into the process ---------------------------------------------------------------------------------------


class _Sleep(StandIn):
    """Is ``time.sleep``."""

    def __call__(self, seconds: Any, /) -> None:
        _noticed("time.sleep", seconds, caller(sys._getframe(1)))
        self._original(seconds)


def _asyncio_sleep(previous: Any) -> Any:
    # A plain function, because only when it is called is it known who calls.
    @functools.wraps(previous)
    def sleep(delay: Any, result: Any = None) -> Any:
        _noticed("asyncio.sleep", delay, sys._getframe(1))
        depth = sys.get_coroutine_origin_tracking_depth()
        if not depth:
            return previous(delay, result)
        sys.set_coroutine_origin_tracking_depth(depth + 1)  # The first frame is this one.
        try:
            return previous(delay, result)
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)

    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(sleep)
    else:
        sleep._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return sleep


_watching: dict[Any, Any] = {}
"""What sleeps, and what stands for it while it is watched."""
_seen: set[str] = set()
"""The modules that were looked through for names bound before."""
_undo: list[Undo] = []


def _install() -> Undo:
    _watching.update(dict.fromkeys(StandIn.originals(time.sleep), _Sleep(time.sleep)))
    _watching[asyncio.sleep] = _asyncio_sleep(asyncio.sleep)
    holders = (time, asyncio, asyncio.tasks)
    _undo.extend(replace_attribute(each, "sleep", _watching.get(each.sleep, each.sleep)) for each in holders)
    _see(frozenset(filter(is_test_module, list(sys.modules))))
    return _uninstall


def _see(modules: frozenset[str]) -> None:
    """Replace what *modules* imported by name before it was watched."""
    _seen.update(modules)
    for module in filter(None, map(sys.modules.get, modules)):
        bound = [(name, each) for name, each in list(vars(module).items()) if issubclass(type(each), _KINDS)]
        _undo.extend(replace_attribute(module, name, _watching[each]) for name, each in bound if each in _watching)


_KINDS = (type(time.sleep), type(asyncio.sleep), StandIn)


def _uninstall() -> None:
    while _undo:
        _undo.pop()()
    _watching.clear()
    _seen.clear()
