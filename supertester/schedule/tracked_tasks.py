"""Tasks and futures that report who looked at them, changed them or waited for them."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, Any

from supertester.schedule.loop.explored_task import ExploredTask

__all__ = ["TrackedFuture", "TrackedTask", "is_counting", "target_of"]

if TYPE_CHECKING:
    _Host = asyncio.Future[Any]
else:
    _Host = object

_GATHER = "gather.<locals>._done_callback"
_WAIT = "_wait.<locals>._on_completion"


def target_of(callback: Any) -> object | None:
    """Return whose state a plain callback changes: the object of a method, a closure itself, else nobody's.

    The callback with which `asyncio.wait` counts is a closure, that of `asyncio.gather` one around what it returned.
    """
    owner = getattr(callback, "__self__", None)
    if owner is not None:
        return None if isinstance(owner, (asyncio.AbstractEventLoop, ModuleType)) else owner
    if not getattr(callback, "__closure__", None):
        return None
    outer: object | None = _variable(callback, "outer") if _is(callback, _GATHER) else None
    return callback if outer is None else outer


def is_counting(callback: Any, args: tuple[Any, ...]) -> bool:
    """Say whether *callback* only counts one more task that is done: in whichever order these run, the last one tells.

    An exception is more than one more that is done, and so is the end of any that is waited for as the first.
    """
    future = args[0] if args else None
    if not asyncio.isfuture(future) or future._state != "FINISHED" or future._exception is not None:
        return False
    if isinstance(getattr(callback, "__self__", None), asyncio.TaskGroup):
        return True
    return _is(callback, _GATHER) or (
        _is(callback, _WAIT) and _variable(callback, "return_when") != asyncio.FIRST_COMPLETED
    )


def _is(callback: Any, name: str) -> bool:
    return getattr(callback, "__qualname__", None) == name and callback.__module__ == "asyncio.tasks"


def _variable(closure: Any, name: str) -> Any:
    names = closure.__code__.co_freevars
    return closure.__closure__[names.index(name)].cell_contents if name in names else None


class _Reporting(_Host):
    """What futures and tasks have in common: looking at one reads it, and so does waiting for it once it is done."""

    __slots__ = ()
    _loop: Any

    def done(self) -> bool:
        self._loop.accesses.read(self)
        return super().done()

    def cancelled(self) -> bool:
        self._loop.accesses.read(self)
        return super().cancelled()

    def result(self) -> Any:
        self._loop.accesses.read(self)
        return super().result()

    def exception(self) -> BaseException | None:
        self._loop.accesses.read(self)
        return super().exception()

    def add_done_callback(self, fn: Any, /, *, context: Any = None) -> None:
        self._loop.accesses.write(self)
        target = target_of(fn)
        if target is not None:  # Named by who hands it over, not by who happens to call it first.
            self._loop.accesses.name(target)
        super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Any, /) -> int:
        self._loop.accesses.write(self)
        return super().remove_done_callback(fn)

    def __await__(self) -> Any:
        self._loop.accesses.read(self)
        return super().__await__()

    __iter__ = __await__


class TrackedFuture(_Reporting, asyncio.Future[Any]):
    """A future: ending it is a write."""

    is_plain = True
    """Whether it obeys a cancellation at once, for code that knows asyncio's own by its class."""

    def set_result(self, result: Any, /) -> None:
        self._loop.accesses.write(self)
        super().set_result(result)

    def set_exception(self, exception: Any, /) -> None:
        self._loop.accesses.write(self)
        super().set_exception(exception)

    def cancel(self, msg: Any | None = None) -> bool:
        self._loop.accesses.write(self)
        return super().cancel(msg=msg)


class TrackedTask(_Reporting, ExploredTask):
    """A task. The loop notes its end as a write; each of its steps reads what cancelling it writes."""

    __slots__ = ()

    def cancel(self, msg: Any | None = None) -> bool:
        self._loop.accesses.read(self)
        self._loop.accesses.interrupt(self.explored_lane)
        return super().cancel(msg=msg)

    def uncancel(self) -> int:
        self._loop.accesses.interrupt(self.explored_lane)
        return super().uncancel()

    def cancelling(self) -> int:
        self._loop.accesses.interrupt(self.explored_lane)
        return super().cancelling()
