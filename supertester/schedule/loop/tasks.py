"""Tasks, futures and asynchronous generators."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from threading import get_ident
from typing import Any, Final
from weakref import WeakKeyDictionary

from supertester.schedule.lanes import Lane
from supertester.schedule.loop.callbacks import Callbacks
from supertester.schedule.loop.explored_task import ExploredTask

__all__ = ["Tasks"]

_new = ExploredTask.__new__
_init = ExploredTask.__init__
_names = ["Task-0"]
_NUMBERED: Final = re.compile(r"Task-\d+")

Factory = Callable[..., Any]


class Tasks(Callbacks):
    """Makes tasks whose names, lanes and hashes are the same in every run."""

    _serial = 0
    """How many tasks have been made."""
    _task_factory: Factory | None = None
    _asyncgens: WeakKeyDictionary[AsyncGenerator[Any, Any], int] | None = None
    """Those that are under way, by the order in which they began."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any) -> Any:
        if self._task_factory is not None:
            return self._make_with_factory(coro, name, context, options)
        return self._make_task(coro, name, context, options)

    def _make_task(self, coro: Any, name: str | None, context: Context | None, options: dict[str, Any]) -> ExploredTask:
        parent = self.lane
        number = parent.children
        parent.children = number + 1
        # The steps of making a task are taken apart because its constructor already asks for its lane.
        task = _new(ExploredTask)
        task.explored_coroutine = coro
        task.serial = self._serial = serial = self._serial + 1
        task.explored_lane = lane = Lane("task", parent, number, task)
        if self._created is not None:
            self._created(lane, parent)
        self.tasks.append(task)
        if name is None:
            name = _names[serial] if serial < len(_names) else _new_name(serial)
        if options:
            _init(task, coro, loop=self, name=name, context=context, **options)
        else:
            _init(task, coro, loop=self, name=name, context=context)
        return task

    def create_task_in(self, lane: Lane, coro: Any, *, name: str, context: Context | None = None) -> ExploredTask:
        """Return a task whose steps belong to *lane*: that of an actor, which it has without a task, too."""
        task = _new(ExploredTask)
        task.explored_coroutine = coro
        self.tasks.append(task)
        task.serial = self._serial = self._serial + 1
        task.explored_lane = lane
        _init(task, coro, loop=self, name=name, context=context)
        return task

    def set_task_factory(self, factory: Factory | None) -> None:
        """Let *factory* make the tasks, as asyncio does."""
        if factory is not None and not callable(factory):
            raise TypeError(f"a task factory is a callable or None, got {factory!r}")
        self._task_factory = factory

    def get_task_factory(self) -> Factory | None:
        return self._task_factory

    def _make_with_factory(self, coro: Any, name: str | None, context: Context | None, options: dict[str, Any]) -> Any:
        factory = self._task_factory
        assert factory is not None
        if factory is getattr(asyncio, "eager_task_factory", None):
            return self._make_task(coro, name, context, {"eager_start": True, **options})
        if context is not None:
            options["context"] = context
        task = factory(self, coro, **options)
        if isinstance(task, asyncio.Task):
            self._lane_of_task(task)
            self._serial += 1
            if name is None and _NUMBERED.fullmatch(task.get_name()):
                name = _new_name(self._serial)  # asyncio numbers all tasks of the process.
        if name is not None and hasattr(task, "set_name"):
            task.set_name(name)
        return task

    # Asynchronous generators -----------------------------------------------------------------------------------------

    def _hook_generators(self) -> Any:
        """Learn of asynchronous generators; return what did so far."""
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._generator_began, finalizer=self._generator_dropped)
        return before

    def _generator_began(self, generator: AsyncGenerator[Any, Any]) -> None:
        if self._asyncgens is None:
            self._asyncgens = WeakKeyDictionary()
        self._asyncgens[generator] = self._age = self._age + 1

    def _generator_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        assert self._asyncgens is not None
        self._asyncgens.pop(generator, None)
        # The garbage collector of another thread is no step of this one.
        if not self.is_closed() and self._thread == get_ident():
            # Made when it runs: one that nobody gets to would complain.
            self.call_soon(lambda: self.create_task(generator.aclose()))

    async def shutdown_asyncgens(self) -> None:
        """End the asynchronous generators that are under way, oldest first."""
        if not self._asyncgens:
            return
        generators = sorted(self._asyncgens, key=self._asyncgens.__getitem__)
        self._asyncgens.clear()
        results = await asyncio.gather(*(each.aclose() for each in generators), return_exceptions=True)
        for result, generator in zip(results, generators, strict=True):
            if isinstance(result, Exception):
                self.call_exception_handler(
                    {
                        "message": f"an error occurred during closing of asynchronous generator {generator!r}",
                        "exception": result,
                        "asyncgen": generator,
                    }
                )


def _new_name(serial: int) -> str:
    while serial >= len(_names):
        _names.append(f"Task-{len(_names)}")
    return _names[serial]
