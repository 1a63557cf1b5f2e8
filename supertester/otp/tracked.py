"""What the steps of explored processes touch, for strategies that run one schedule of each class that can differ.

A loop that wants to know has the attribute ``accesses``, with ``read``, ``write``, ``put`` and ``follows``. Two
messages put into one mailbox conflict. The turn of a message conflicts with no other message: it follows from the step
that put it there. The end of a process conflicts with its turns, with messages to it and with looking whether it lives;
registering a name conflicts with looking for it. To be idle follows from all that was done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from supertester.otp.explored import Explored, ExploredIdleness, ExploredProcess, ExploredRoot
from supertester.otp.faulting import FaultyProcess
from supertester.otp.life import UNOPENED
from supertester.otp.pid import Pid

if TYPE_CHECKING:
    from supertester.otp.runtime import Runtime

__all__ = [
    "TrackedIdleness",
    "TrackedNames",
    "TrackedProcess",
    "TrackedQueue",
    "TrackedRoot",
    "TrackedTable",
    "Tracking",
    "track",
]

_LIFE: Final = "life"
"""The part of a process that its end changes."""
_exit_reason: Final[Any] = Pid.__dict__["exit_reason"]


def track(runtime: Runtime) -> None:
    """Let every process of *runtime* say what its steps touch; called once, before there is any."""
    runtime.process_type = TrackedFaultyProcess if runtime.process_type is FaultyProcess else TrackedProcess
    runtime.root_type = TrackedRoot
    runtime.names = TrackedNames(runtime)
    runtime.new_table = partial(TrackedTable, runtime)
    runtime.explored_idleness = TrackedIdleness
    runtime.activity = {}


class TrackedNames(dict[Any, Any]):
    """The registered names."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime
        accesses_of(runtime).name(self)

    def get(self, name: Any, default: Any = None) -> Any:
        accesses_of(self._runtime).read(self, name)
        return super().get(name, default)

    def __setitem__(self, name: Any, process: Any) -> None:
        accesses_of(self._runtime).write(self, name)
        super().__setitem__(name, process)

    def __delitem__(self, name: Any) -> None:
        accesses_of(self._runtime).write(self, name)
        super().__delitem__(name)


class TrackedTable(TrackedNames):
    """The table of a `Registry`: whoever gets the entries of a key may change them."""

    def get(self, name: Any, default: Any = None) -> Any:
        accesses_of(self._runtime).write(self, name)
        return super().get(name, default)

    def setdefault(self, name: Any, default: Any = None) -> Any:
        accesses_of(self._runtime).write(self, name)
        return super().setdefault(name, default)

    def values(self) -> Any:
        for name in self:
            accesses_of(self._runtime).read(self, name)
        return super().values()


def accesses_of(runtime: Runtime) -> Any:
    """Return where the loop of *runtime* notes what is touched."""
    return runtime.loop.accesses  # type: ignore[attr-defined]


class TrackedQueue(deque[Any]):
    """The messages in a mailbox, which remembers of each in which step it was put there."""

    def __init__(self, process: Explored) -> None:
        super().__init__()
        self._process = process
        self._causes: deque[Any] = deque()

    @property
    def _accesses(self) -> Any:
        return accesses_of(self._process.runtime)

    def append(self, entry: Any) -> None:
        self._accesses.put(self._process)
        self._causes.append(self._accesses.now)
        super().append(entry)

    def appendleft(self, entry: Any) -> None:  # What the process is to do before all else: no message.
        self._causes.appendleft(self._accesses.now)
        super().appendleft(entry)

    def popleft(self) -> Any:
        self._follow(self._causes.popleft())
        return super().popleft()

    def __delitem__(self, index: Any) -> None:
        self._follow(self._causes[index])
        del self._causes[index]
        super().__delitem__(index)

    def _follow(self, causes: Any) -> None:
        self._accesses.read(self._process, _LIFE)
        self._accesses.follows(causes)


def _noted(name: str) -> Any:
    """Return a property for the attribute *name*: looking at it reads it, or may change it if it is a table."""
    original = getattr(Explored, name)
    slot = original if hasattr(original, "__set__") else None

    def look(self: Any) -> Any:
        value = self.__dict__.get(name, original) if slot is None else slot.__get__(self)
        accesses = accesses_of(self.runtime)
        (accesses.write if isinstance(value, dict) else accesses.read)(self, name)
        return value

    def change(self: Any, value: Any) -> None:
        if slot is not None:
            slot.__set__(self, value)
        else:
            self.__dict__[name] = value
        if hasattr(self, "runtime"):  # Not while it is being made.
            accesses_of(self.runtime).write(self, name)

    return property(look, change)


class Tracking(Explored):
    """What a process does to be tracked."""

    __slots__ = ()

    # A report of a monitor and giving it up meet here, for one.
    callbacks = _noted("callbacks")
    interceptors = _noted("interceptors")
    links = _noted("links")
    monitors = _noted("monitors")
    trap_exit = _noted("trap_exit")
    watchers = _noted("watchers")

    def enter_schedule(self) -> None:
        super().enter_schedule()
        accesses_of(self.runtime).name(self)

    def open_mailbox(self) -> deque[Any]:
        is_closed = self.queue is UNOPENED
        super().open_mailbox()
        if is_closed and self.queue is not UNOPENED:
            self.queue = TrackedQueue(self)
        return self.queue

    @property
    def exit_reason(self) -> Any:
        """Why it ended, or ``None``: whoever looks, looks whether it lives."""
        accesses_of(self.runtime).read(self, _LIFE)
        return _exit_reason.__get__(self)

    @exit_reason.setter
    def exit_reason(self, reason: Any) -> None:
        _exit_reason.__set__(self, reason)

    def deliver(self, entry: Any) -> None:
        accesses_of(self.runtime).read(self, _LIFE)
        super().deliver(entry)

    def arrive(self, entry: Any) -> None:
        super().arrive(entry)
        self._note_activity()

    def run(self) -> None:
        accesses_of(self.runtime).read(self, _LIFE)  # Also where it turns out to be dead, and does nothing.
        super().run()

    def _rest(self) -> None:
        self._note_activity()
        super()._rest()

    def _note_activity(self) -> None:
        runtime = self.runtime
        assert runtime.activity is not None
        runtime.activity[self] = accesses_of(runtime).now

    def die(self, reason: Any) -> None:
        if self.exit_reason is None:
            accesses_of(self.runtime).write(self, _LIFE)
            self._note_activity()
        super().die(reason)


class TrackedProcess(Tracking, ExploredProcess):
    """A process with a server."""

    __slots__ = ()


class TrackedFaultyProcess(Tracking, FaultyProcess):
    """The same where faults may happen."""

    __slots__ = ()


class TrackedRoot(Tracking, ExploredRoot):
    """The body of a test."""

    __slots__ = ()

    @property
    def messages(self) -> list[Any]:
        """What has arrived so far: whoever looks sees what has not, too."""
        accesses_of(self.runtime).read(self)
        return super().messages


class TrackedIdleness(ExploredIdleness):
    """Says that whoever waits for idleness goes on after all activity, and changes none of it.

    So the moment at which the waiting begins makes no difference, and its future is no object that steps conflict over.
    """

    def __init__(self, runtime: Runtime, chosen: frozenset[Any] | None) -> None:
        super().__init__(runtime, chosen)
        self.future = asyncio.Future(loop=runtime.loop)  # Which nobody tracks.
        self._since = accesses_of(runtime).now

    def tell(self) -> None:
        accesses_of(self.runtime).follows(self._since)
        super().tell()

    def over(self) -> None:
        activity = self.runtime.activity
        assert activity is not None
        for process, causes in activity.items():
            if self.chosen is None or process in self.chosen:
                accesses_of(self.runtime).follows(causes)
