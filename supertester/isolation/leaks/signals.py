"""Signal handlers that a test has set and not restored."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supertester._core.origin import Origin, is_foreign
from supertester.context import IsolationContext
from supertester.isolation.births import births_of
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.leaks.leak import Leak, plainly

__all__ = ["find", "restore_quietly", "watch"]


@dataclass
class _Change:
    """What a test did to the handler of one signal."""

    before: Any
    now: Any
    origin: Origin


def watch() -> None:
    """Note from now on which tests set which handlers."""
    install_once(_install)


def _install() -> Undo:
    return replace_attribute(signal, "signal", _noting(signal.signal))


def _noting(previous: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(previous)
    def set_signal(signalnum: Any, handler: Any, /) -> Any:
        before = previous(signalnum, handler)
        context = owner()
        if context is not None:
            changes = births_of(context).signals
            first = changes.get(int(signalnum))
            changes[int(signalnum)] = _Change(before if first is None else first.before, handler, Origin(2))
        return before

    return set_signal


def find(context: IsolationContext) -> list[Leak]:
    """Return the handlers that the test has set and that are still there, except those of event loops."""
    return [
        _leak(number, change)
        for number, change in context.births.signals.items()
        if _is_left(number, change) and not _is_of_a_loop(change)
    ]


def restore_quietly(context: IsolationContext) -> None:
    """Put back what was there before event loops of the test, which forget it when they are closed.

    Only from the main thread can that be; it is also where they were set from.
    """
    if context.births is not None:
        for number, change in context.births.signals.items():
            if _is_of_a_loop(change) and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                _restore(number, change)


def _is_left(number: int, change: _Change) -> bool:
    # Somebody else's, if it is neither.
    return bool(change.now != change.before and signal.getsignal(number) == change.now)


def _is_of_a_loop(change: _Change) -> bool:
    """Say whether an event loop set it, which puts back a default when it is closed, or a loop of this library."""
    filename, _ = next(change.origin.calls(), ("", ""))
    return is_foreign(filename) or "uvloop" in filename


def _leak(number: int, change: _Change) -> Leak:
    name = signal.Signals(number).name
    return Leak(
        kind="signals",
        thing=number,
        names=(name,),
        message=lambda: (
            f"a handler of {name} was left in place{plainly(change.origin, 'set')}; "
            "put back the one that signal.signal() returned"
        ),
        origin=change.origin,
        end=lambda: _restore(number, change),
        is_ending=False,
    )


def _restore(number: int, change: _Change) -> None:
    # A handler that C code has set shows as None, and cannot be set from here.
    if change.before is not None and change.before != signal.getsignal(number):
        signal.signal(number, change.before)
