"""What a test has left in an event loop that goes on after it: handlers of descriptors and signals, and settings."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from supertester._core.naming import describe
from supertester.context import IsolationContext
from supertester.isolation.leaks.leak import Leak
from supertester.isolation.tasks import owner_of

__all__ = ["LoopSettings", "find"]


def find(context: IsolationContext, loop: Any) -> list[Leak]:
    """Return the handlers of descriptors and signals that the test has left in *loop*."""
    return [*_descriptors(context, loop), *_signals(context, loop)]


def _descriptors(context: IsolationContext, loop: Any) -> list[Leak]:
    selector = getattr(loop, "_selector", None)
    leaks = []
    for key in list((selector.get_map() if selector is not None else {}).values()):
        for handle, what, remove in zip(
            key.data or (), ("reader", "writer"), (loop.remove_reader, loop.remove_writer), strict=False
        ):
            # Transports handle their sockets with methods of asyncio; for those the socket is looked at.
            if handle is None or owner_of(handle) is not context or _is_asyncio(handle._callback):
                continue
            leaks.append(_leak(f"{what} of descriptor {key.fd}", f"remove_{what}()", handle, remove, key.fd))
    return leaks


def _is_asyncio(callback: Any) -> bool:
    return str(getattr(callback, "__module__", "")).startswith("asyncio.")


def _signals(context: IsolationContext, loop: Any) -> list[Leak]:
    return [
        _leak(
            f"handler of {signal.Signals(number).name}",
            "remove_signal_handler()",
            handle,
            loop.remove_signal_handler,
            number,
        )
        for number, handle in list(getattr(loop, "_signal_handlers", {}).items())
        if owner_of(handle) is context
    ]


def _leak(what: str, remedy: str, handle: Any, remove: Callable[[int], object], number: int) -> Leak:
    name = describe(handle._callback)
    return Leak(
        kind="handlers",
        thing=handle,
        names=(what, name),
        message=lambda: f"{what}, {name!r}, was left in an event loop that goes on; use {remedy}",
        end=lambda: remove(number),
        is_ending=False,
    )


class LoopSettings:
    """The exception handler and the task factory of a loop, compared with what they were.

    Whose change it is shows only if no other test was running: otherwise nobody is blamed.
    """

    def __init__(self, context: IsolationContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._handler = loop.get_exception_handler()
        self._factory = loop.get_task_factory()

    def find(self) -> list[Leak]:
        """Return the settings that are not what they were."""
        loop = self._loop
        if not self._context.alone:
            return []
        changed: list[tuple[str, Any, Callable[[Any], object], Any]] = []
        if loop.get_exception_handler() is not self._handler:
            changed.append(
                ("exception handler", loop.get_exception_handler(), loop.set_exception_handler, self._handler)
            )
        if loop.get_task_factory() is not self._factory:
            changed.append(("task factory", loop.get_task_factory(), loop.set_task_factory, self._factory))
        return [_setting_leak(*each) for each in changed]


def _setting_leak(what: str, now: Any, put: Callable[[Any], object], before: Any) -> Leak:
    name = "None" if now is None else describe(now)
    return Leak(
        kind="handlers",
        thing=now,
        names=(what, name),
        message=lambda: (
            f"the {what} of an event loop that goes on was left changed, to {name!r}; put back the one before"
        ),
        end=lambda: put(before),
        is_ending=False,
    )
