"""`Tracer`: what each step of one schedule ran, line by line, and who holds which lock.

It is a trace function of the present thread, for the one replay that the report is made from. Tracing makes code some
fifty times slower and changes nothing else, so the schedule stays the same.
"""

from __future__ import annotations

import asyncio
import asyncio.locks
import dis
import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final

from supertester._core.naming import describe
from supertester._core.origin import is_foreign, is_standard
from supertester.schedule.lanes import Lane
from supertester.schedule.report.touched import Touch, source_of, touched_by

__all__ = ["Hold", "Line", "Step", "Tracer"]

_LINES: Final = 2_000
"""Lines noted for one step; a step with more is a computation that nobody wants to read."""

_INSTALLED: Final = ("site-packages", "dist-packages")
_CARRYING: Final = 2
"""Arguments of what carries a message: what it does on its arrival, and the arguments of that."""
_STEPS: Final = 20_000
"""Steps of which lines are noted; a schedule with more has no end."""

_Lock = asyncio.locks.Lock
_Semaphore = asyncio.locks.Semaphore
_ACQUIRES: Final = frozenset({_Lock.acquire.__code__, _Semaphore.acquire.__code__})
_RELEASES: Final = frozenset({_Lock.release.__code__, _Semaphore.release.__code__})


@dataclass(frozen=True)
class Line:
    """A line of the user's code that ran.

    Attributes:
        filename, number, function: Where it is.
        touches: What it reads and writes, as far as that is known.
        resumed: Whether it goes on after an ``await`` in it.
    """

    filename: str
    number: int
    function: str
    touches: tuple[Touch, ...] = ()
    resumed: bool = False

    @property
    def source(self) -> str:
        """The text of the line, stripped."""
        return source_of(self.filename, self.number)


@dataclass
class Step:
    """What one lane did from when it was chosen to when it gave way.

    Attributes:
        number: Which step of the schedule it is, from 0.
        lane: The lane.
        time: The virtual time in seconds.
        instead_of: The lane that would have gone on, if choosing this one was a forced switch.
        actor: In whose name it runs: the same lane, or that of the sender whose message a server handles.
        lines: What it ran of the user's code, in order.
    """

    number: int
    lane: Lane
    time: float
    instead_of: Lane | None = None
    lines: list[Line] = field(default_factory=list)
    actor: Lane | None = None

    @property
    def forced(self) -> bool:
        """Whether choosing it was a forced switch."""
        return self.instead_of is not None


@dataclass(frozen=True)
class Hold:
    """Who holds a lock, and since which line."""

    lane: Lane
    line: Line | None


class Tracer:
    """Notes steps and lines while it is entered, in the present thread.

    Attributes:
        steps: The steps so far.
        names: What a reader would call each lane that has run, without telling apart those of one name.
        actors: For lanes that carry messages, the lane of who sends them.
        holds: For each lock or semaphore that is held, by its id: by whom.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.names: dict[Lane, str] = {}
        self.holds: dict[int, list[Hold]] = {}
        self.actors: dict[Lane, Lane] = {}
        self._senders: dict[int, deque[Lane]] = {}
        self._keep: list[Any] = []
        self._step: Step | None = None
        self._before: Any = None
        self._is_user: dict[str, bool] = {}

    def begin_step(self, lane: Lane, time: float, *, instead_of: Lane | None) -> None:
        """Take note that *lane* runs from now on, by a forced switch if it does so *instead of* another."""
        for each in (lane, instead_of):
            if each is not None and each not in self.names:
                self.names[each] = _name_of(each)
        self._step = Step(len(self.steps), lane, time, instead_of, actor=self._actor(lane))
        self.steps.append(self._step)

    def _actor(self, lane: Lane) -> Lane:
        """Return in whose name *lane* runs now: a server handles a message in the name of who sent it."""
        if lane.kind == "delivery":
            sender = getattr(getattr(lane.owner, "sender", None), "explored_lane", lane)
            self.actors[lane] = sender
            for carried in lane.args[1] if len(lane.args) == _CARRYING else ():
                self._keep.append(carried)
                self._senders.setdefault(id(carried), deque()).append(sender)
            return sender
        if lane.kind == "process" and getattr(lane.callback, "__name__", "") == "run":
            messages = getattr(lane.owner, "queue", None)
            if messages and (senders := self._senders.get(id(messages[0]))):
                return senders.popleft()
        return lane

    def end_step(self) -> None:
        """Take note that the step is over: what runs until the next one belongs to none."""
        self._step = None

    def __enter__(self) -> Tracer:
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    # Trace functions -----------------------------------------------------------------------------------------------

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if code in _ACQUIRES:
            frame.f_trace_lines = False
            return self._acquiring
        if code in _RELEASES:
            self._released(frame.f_locals["self"])
            return None
        if self._step is None or not self._belongs_to_user(code.co_filename):
            return None
        if frame.f_lasti > _start_of(code):
            self._note(frame, resumed=True)
        return self._local

    def _local(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == "line":
            self._note(frame, resumed=False)
        return self._local

    def _acquiring(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == "return" and arg is True and self._step is not None:  # A coroutine that waits returns a future.
            lock = frame.f_locals["self"]
            line = self._step.lines[-1] if self._step.lines else None
            self._keep.append(lock)
            self.holds.setdefault(id(lock), []).append(Hold(self._step.lane, line))
        return self._acquiring

    # Notes -----------------------------------------------------------------------------------------------------------

    def _released(self, lock: Any) -> None:
        holds = self.holds.get(id(lock))
        if not holds or self._step is None:
            return
        own = [hold for hold in holds if hold.lane is self._step.lane]
        holds.remove(own[0] if own else holds[0])

    def _note(self, frame: FrameType, *, resumed: bool) -> None:
        step, number = self._step, frame.f_lineno
        if step is None or step.number >= _STEPS or len(step.lines) >= _LINES or number is None:
            return
        code = frame.f_code
        touches = tuple(touched_by(frame, number, self._keep, resumed=resumed))
        last = step.lines[-1] if step.lines else None
        if last is not None and (last.filename, last.number) == (code.co_filename, number) and not resumed:
            if not last.resumed:
                return  # A line of several parts, such as a comprehension, comes again and again.
            step.lines.pop()
            touches, resumed = (*last.touches, *touches), True
        step.lines.append(Line(code.co_filename, number, code.co_qualname, touches, resumed))

    def _belongs_to_user(self, filename: str) -> bool:
        known = self._is_user.get(filename)
        if known is None:
            # Installed packages may run anywhere in between, called by the garbage collector.
            others = is_foreign(filename) or is_standard(filename) or any(each in filename for each in _INSTALLED)
            known = not (others or filename.startswith("<"))
            self._is_user[filename] = known
        return known


def _name_of(lane: Lane) -> str:
    """Return what a reader would call *lane*, which knows its task only while the schedule runs."""
    if isinstance(lane.owner, asyncio.Task):
        name = lane.owner.get_name()
        return name if not name.startswith("Task-") else describe(lane.owner.get_coro()).rpartition(".")[2]
    return lane.label


@functools.lru_cache(maxsize=256)
def _start_of(code: CodeType) -> int:
    """Return the offset of the instruction with which a coroutine or generator begins to run."""
    if not code.co_flags & _STEPWISE:
        return sys.maxsize
    return next((each.offset for each in dis.get_instructions(code) if each.opname == "RESUME"), -1)


_STEPWISE: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
