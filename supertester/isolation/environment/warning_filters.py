"""The filters of ``warnings``, and where warnings are shown, of which each test has its own once it changes them.

Up to Python 3.13 both are attributes of the module, which C code too looks up there for every warning. So the class of
the module is replaced, once, by one that answers for the test whose code is running.
"""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from supertester.isolation.environment.state import FIRST_USE, State, current
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["install", "leave"]

_module: Any = warnings


def _seen(state: State | None, name: str) -> Any:
    """Return the attribute *name* of ``warnings`` as code of *state* sees it."""
    while state is not None:
        if state.warnings is not None and name in state.warnings:
            return state.warnings[name]
        state = state.outer
    try:
        return _module.__dict__[name]
    except KeyError:
        raise AttributeError(f"module 'warnings' has no attribute {name!r}") from None


def _set(name: str, value: Any) -> None:
    state = current()
    if state is None:
        _module.__dict__[name] = value
    else:
        _own(state)[name] = value


def _own(state: State) -> dict[str, Any]:
    with FIRST_USE:
        if state.warnings is None:
            state.warnings = {}
    return state.warnings


def _routed(name: str) -> property:
    return property(lambda _: _seen(current(), name), lambda _, value: _set(name, value))


def _filters(_: Any) -> Any:
    """Return a list that the running test may change, or else the process's."""
    state = current()
    seen = _seen(state, "filters")
    return seen if state is None else _own(state).setdefault("filters", list(seen))


class _Warnings(ModuleType):
    """What the module ``warnings`` becomes an instance of."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, ("warnings",)  # Those who pickle modules know only the ordinary kind of them.

    filters = property(_filters, lambda _, value: _set("filters", value))
    showwarning = _routed("showwarning")
    _showwarnmsg_impl = _routed("_showwarnmsg_impl")


_Warnings.__name__ = _Warnings.__qualname__ = "module"


def install() -> list[Undo]:
    """Let tests have filters of their own; return what undoes it."""
    if sys.version_info >= (3, 14):
        return []  # There Python does it, with -X context_aware_warnings.
    return [
        replace_attribute(warnings, "__class__", _Warnings),
        *(
            replace_attribute(module, name, replacement(getattr(module, name)))
            for module, name, replacement in (
                (warnings, "_add_filter", _adding),
                (warnings, "resetwarnings", _resetting),
                (warnings, "_showwarnmsg", _showing),
                (logging, "captureWarnings", _capturing),
            )
        ),
    ]


def leave(state: State) -> None:
    """Let warnings be shown again that were not to be shown twice as long as *state* was in force."""
    if state.warnings is not None:
        _module._filters_mutated()


# Functions of `warnings` that use its attributes without looking them up in the module ------------------------------


def _adding(previous: Callable[..., None]) -> Callable[..., None]:
    def _add_filter(*item: Any, append: bool) -> None:
        if current() is None:
            previous(*item, append=append)
            return
        filters = _module.filters
        if not append:
            if item in filters:
                filters.remove(item)
            filters.insert(0, item)
        elif item not in filters:
            filters.append(item)
        _module._filters_mutated()

    return _add_filter


def _resetting(previous: Callable[[], None]) -> Callable[[], None]:
    def resetwarnings() -> None:
        """Clear the list of warning filters, so that no filters are active."""
        if current() is None:
            previous()
        else:
            _module.filters[:] = []
            _module._filters_mutated()

    return resetwarnings


def _showing(previous: Callable[[Any], None]) -> Callable[[Any], None]:
    def _showwarnmsg(message: Any) -> None:
        state = current()
        show = _seen(state, "showwarning")
        if state is None:
            previous(message)
        elif show is _module._showwarning_orig:
            _seen(state, "_showwarnmsg_impl")(message)
        else:
            show(message.message, message.category, message.filename, message.lineno, message.file, message.line)

    return _showwarnmsg


class _ToLog:
    """What ``logging.captureWarnings`` puts in the place of ``warnings.showwarning`` in one test."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        file = kwargs.get("file", args[4] if len(args) > 4 else None)
        show = _to_log if file is None else self.previous
        show(*args, **kwargs)


_to_log: Any = logging._showwarning  # type: ignore[attr-defined]


def _capturing(previous: Callable[[bool], None]) -> Callable[[bool], None]:
    @functools.wraps(previous)
    def captureWarnings(capture: bool) -> None:  # noqa: FBT001, N802 - of logging
        state = current()
        if state is None:
            previous(capture)
            return
        # Not `previous`: it notes in a global that warnings are captured, which in the next test they are not.
        shown = _seen(state, "showwarning")
        captured = isinstance(shown, _ToLog) or shown is _to_log
        if capture and not captured:
            _set("showwarning", _ToLog(shown))
        elif captured and not capture:
            is_own = isinstance(shown, _ToLog)
            _set("showwarning", shown.previous if is_own else logging._warnings_showwarning)  # type: ignore[attr-defined]

    return captureWarnings
