"""Timers and callbacks that a test has left in its event loop."""

from __future__ import annotations

import asyncio
import asyncio.events
import functools
import gc
from collections.abc import Iterable
from typing import Any

from supertester._core.naming import describe
from supertester._core.origin import Origin
from supertester.context import IsolationContext, current_context
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.leaks.leak import Leak, plainly
from supertester.isolation.tasks import owner_of

__all__ = ["find", "find_restless", "has_ready", "has_timers", "watch"]

_OWN = ("supertester.", "asyncio.", "_asyncio")


def watch() -> None:
    """Note from now on where tests make timers."""
    install_once(_install)


class _Timer(asyncio.TimerHandle):
    """A timer that knows where it was made, if a test made it."""

    __slots__ = ("origin",)

    def __init__(self, when: float, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
        super().__init__(when, callback, args, loop, context)
        self.origin = None if current_context.get() is None else Origin(2)


def _install() -> Undo:
    return replace_attribute(asyncio.events, "TimerHandle", _Timer)


def has_timers(loop: Any) -> bool:
    """Say whether *loop* may have a timer that is not the library's; the first look of every test."""
    for handle in _scheduled(loop):  # noqa: SIM110 - a generator would cost more than the look
        if not handle.cancelled() and not _is_own(_callback(handle)):
            return True
    return False


def has_ready(loop: Any) -> bool:
    """Say whether callbacks wait for the next turn of *loop*."""
    return bool(_ready(loop))


def find(context: IsolationContext, loop: Any, *, whole_loop: bool) -> list[Leak]:
    """Return the timers of the test that are still to fire."""
    # A heap in no order that anybody would understand; by time it is.
    handles = sorted(_scheduled(loop), key=lambda handle: float(handle.when()))
    return [
        _leak(handle, "timer", "was left scheduled; cancel it")
        for handle in handles
        if not handle.cancelled() and not _is_own(_callback(handle)) and _is_of(handle, context, whole_loop)
    ]


def find_restless(context: IsolationContext, loop: Any) -> list[Leak]:
    """Return the callbacks of the test that are in the loop's queue, where a few turns should have emptied it."""
    return [
        _leak(handle, "callback", "schedules itself again and again; let it stop")
        for handle in list(_ready(loop))
        if not handle.cancelled() and not _is_own(_callback(handle)) and _is_of(handle, context, whole_loop=False)
    ]


def _leak(handle: Any, what: str, complaint: str) -> Leak:
    origin = getattr(handle, "origin", None)
    callback = _callback(handle)
    name = describe(callback) if callback is not None else repr(handle)
    return Leak(
        kind="timers",
        thing=handle,
        names=(name,),
        message=lambda: f"{what} {name!r}{plainly(origin, 'created')} {complaint}",
        origin=origin,
        end=handle.cancel,
        is_ending=False,
    )


def _is_of(handle: Any, context: IsolationContext, whole_loop: bool) -> bool:  # noqa: FBT001
    owner = owner_of(handle) if hasattr(handle, "_context") else _hidden_owner(handle)
    return owner is context or (owner is None and whole_loop)


def _is_own(callback: Any) -> bool:
    """Say whether *callback* belongs to the library, or to asyncio, whose tasks and futures are looked at elsewhere."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    if isinstance(getattr(callback, "__self__", None), asyncio.Future):
        return True
    module = getattr(callback, "__module__", None) or type(callback).__module__
    return isinstance(module, str) and module.startswith(_OWN)


# uvloop keeps its timers and callbacks, and what these call, in C; the garbage collector can see them all the same.


def _scheduled(loop: Any) -> Iterable[Any]:
    timers = getattr(loop, "_scheduled", None)
    if timers is not None:
        return timers  # type: ignore[no-any-return]
    return [each for held in gc.get_referents(loop) if type(held) is set for each in held if hasattr(each, "when")]


def _ready(loop: Any) -> Iterable[Any]:
    ready = getattr(loop, "_ready", None)
    if ready is not None:
        return ready  # type: ignore[no-any-return]
    return next((held for held in gc.get_referents(loop) if type(held).__name__ == "deque"), ())


def _callback(handle: Any) -> Any:
    if hasattr(handle, "_callback"):
        return handle._callback
    held = gc.get_referents(handle)
    return next((each for each in held if callable(each)), None)


def _hidden_owner(handle: Any) -> IsolationContext | None:
    for each in gc.get_referents(handle):
        if type(each).__name__ == "Context":
            owner: IsolationContext | None = each.get(current_context)
            return owner
    return None
