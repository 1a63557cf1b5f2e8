"""Callbacks and the lanes that they wait in."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from operator import attrgetter
from typing import Any

from supertester.schedule.lanes import Lane
from supertester.schedule.loop.escapes import Escapes
from supertester.schedule.loop.handles import Handle

__all__ = ["Callbacks"]

_age = attrgetter("age")


class Callbacks(Escapes):
    """Puts each callback into its lane.

    A step of a task goes into the task's lane; what belongs to an object with a lane of its own (`lane_of`), into that;
    anything else into the lane of whoever scheduled it, so that callbacks of one task keep their order.
    """

    root: Lane
    lane: Lane
    """The lane that is running: ``root``, outside of steps."""
    tasks: list[Any]
    _runnable: list[Lane]
    """Lanes that are not empty, the one with the oldest head first."""
    _created: Callable[[Lane, Lane | None], object] | None
    _owned: dict[int, Lane]
    """The lanes of objects, by their ids."""
    _age = 0
    _thread: int | None = None
    """The thread that runs the loop."""

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        """Run *callback* in its lane, after what is there already."""
        if context is None:
            return self._put(self._lane_for(callback), Handle(callback, args, self, None))
        try:
            lane = callback.__self__.explored_lane
        except AttributeError:
            return self._put(self._lane_for(callback), Handle(callback, args, self, context))
        # A step of a task, which asyncio wants no handle of.
        age = self._age
        self._age = age + 1
        if lane.callback is None:
            lane.callback = callback
            lane.args = args
            lane.context = context
            lane.age = age
            self._runnable.append(lane)
        elif lane.more is None:
            lane.more = deque(((age, callback, args, context),))
        else:
            lane.more.append((age, callback, args, context))
        return None

    def _put(self, lane: Lane, handle: Any) -> Any:
        """Put a callback that can be cancelled into *lane*."""
        handle.lane = lane
        age = self._age
        self._age = age + 1
        if lane.callback is None:
            lane.callback = handle
            lane.args = ()
            lane.context = None
            lane.age = age
            self._runnable.append(lane)
        elif lane.more is None:
            lane.more = deque(((age, handle, (), None),))
        else:
            lane.more.append((age, handle, (), None))
        return handle

    def _lane_for(self, callback: Any) -> Lane:
        owner = getattr(callback, "__self__", None)
        if owner is None:
            return self.lane
        if hasattr(type(owner), "schedule_lane"):
            return self.lane_of(owner)
        if isinstance(owner, asyncio.Task) and owner.get_loop() is self:
            return self._lane_of_task(owner)
        return self.lane

    @property
    def _ready(self) -> list[Handle]:
        """The handles that are ready to run, as asyncio's own loops call them."""
        entries = [entry for lane in self._runnable for entry in lane.queue]
        return [callback for _, callback, _, _ in entries if isinstance(callback, Handle)]

    def lane_of(self, owner: Any) -> Lane:
        """Return the lane that *owner* has of its own: a task, or an object whose type has ``schedule_lane``.

        That attribute says of which kind the lane is, and ``schedule_label``, if the object has it, what a reader would
        call it. The first call makes the lane, as the next child of the lane that is running: call it when the object
        is made, so that its path does not depend on who uses it first.
        """
        if isinstance(owner, asyncio.Task):
            return self._lane_of_task(owner)
        lane = self._owned.get(id(owner))
        if lane is None:  # It keeps its owner alive, and thereby the number its owner's.
            lane = self._owned[id(owner)] = self.new_lane(str(owner.schedule_lane), owner)
        return lane

    def _lane_of_task(self, task: Any) -> Lane:
        try:
            lane: Lane = task.explored_lane
        except AttributeError:  # Made by somebody else's task factory.
            self.tasks.append(task)
            lane = task.explored_lane = self.new_lane("task", task)
        return lane

    def reserve(self) -> int:
        """Return a number among the children of `root`, for something that is made later, or never; see `as_root`."""
        number = self.root.children
        self.root.children = number + 1
        return number

    @contextmanager
    def as_root(self, reserved: int) -> Iterator[None]:
        """Let the first lane that is made in the body be the child of `root` with a number that `reserve` returned."""
        lane, self.lane = self.lane, self.root
        children, self.root.children = self.root.children, reserved
        try:
            yield
        finally:
            self.lane = lane
            self.root.children = max(children, self.root.children)

    def new_lane(self, kind: str, owner: Any = None) -> Lane:
        """Return a new lane, the next child of the one that is running."""
        parent = self.lane
        number = parent.children
        parent.children = number + 1
        lane = Lane(kind, parent, number, owner)
        if self._created is not None:
            self._created(lane, parent)
        return lane

    def call_in(
        self, lane: Lane, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """Run *callback* in *lane*, after what is there already."""
        handle: Handle = self._put(lane, Handle(callback, args, self, context))
        return handle

    def _next(self, lane: Lane) -> None:
        """Put the next callback of *lane* at its head, and the lane where its age belongs."""
        assert lane.more
        lane.age, lane.callback, lane.args, lane.context = lane.more.popleft()
        insort(self._runnable, lane, key=_age)

    def _withdraw(self, handle: Any, lane: Lane) -> None:
        """Take a cancelled callback out of its lane."""
        if lane.callback is handle:
            self._runnable.remove(lane)
            if lane.more:
                self._next(lane)
            else:
                lane.callback = None
        elif lane.more:
            lane.more = deque(entry for entry in lane.more if entry[1] is not handle)
