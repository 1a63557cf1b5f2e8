"""`VirtualLoop`: an event loop whose time passes when nothing else is left to do.

It is the selector event loop of asyncio with another clock. Time stands still while code runs. When nothing is ready to
run, what happens depends on what could still come from outside (see `OutsideWork`):

- nothing could: time leaps to the next timer. Without a timer either, the program waits for ever, and is told so;
- work that should end by itself, such as a job of an executor: time stands still until it has ended, or nothing has
  happened for the loop's ``long_patience``;
- something that may never come, such as a message from another program: time stands still until nothing has happened
  for the loop's ``patience``.

After that, time goes on as real time does. So a timeout never strikes, with outside work under way, that would not have
struck in real time as well.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from supertester._core.standing import Explain
from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError
from supertester.schedule.outside import OutsideWork
from supertester.schedule.waits import describe_waits

__all__ = ["LONG_PATIENCE", "PATIENCE", "Deadlock", "VirtualLoop"]

PATIENCE: Final = 1.0
"""The ``patience`` that every `VirtualLoop` begins with."""
LONG_PATIENCE: Final = 10.0
"""The ``long_patience`` that it begins with."""
_LOOK: Final = 0.01
"""Real seconds between looks for the end of what wakes no loop."""
_FLIGHT: Final = 0.005
"""Real seconds that data between two sockets of the loop may take to be acknowledged, if all has arrived."""

_RESOLUTION: Final = 1e-9

Poll = Callable[[float | None], list[Any]]


class Deadlock(AssertionError):
    """A program waits for what can never happen; the message shows what each of its tasks waits for."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time, which begins at 0.

    Attributes:
        outside: What could still wake the loop.
        patience: Real seconds of quiet in which time stands still for what may come from outside, or may not.
        long_patience: The same for what should come: the end of a job, or of a child process that a task waits for.
        wall: Timers in real time, which hold nothing up.
        on_deadlock: Called when all that is left waits for ever, instead of raising `Deadlock` out of the loop; has to
            make something ready to run.
        explain: Knows more of the tasks, for the message of a `Deadlock`.

    >>> import asyncio
    >>> with asyncio.Runner(loop_factory=VirtualLoop) as runner:
    ...     runner.run(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._behind: float | None = None
        """By how much the time lags behind the real one, where it goes with it."""
        self._still_since: float | None = None
        self._targets: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.patience = PATIENCE
        self.long_patience = LONG_PATIENCE
        self.on_deadlock: Callable[[], object] | None = None
        self.explain: Explain | None = None
        self.wall = Wall()
        super().__init__(_Selector(self))
        self.outside = OutsideWork(self)

    # Time --------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now if self._behind is None else time.monotonic() - self._behind

    def go_with_real_time(self) -> None:
        """Let time go on from where it is as real time does, from now on."""
        if self._behind is None:
            self._behind = time.monotonic() - self._now

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and all that becomes due in them come to rest.

        Raises:
            UsageError: *seconds* is negative or infinite.
            TypeError: It is no number.
        """
        if math.isinf(checked_seconds("seconds", seconds)):
            raise UsageError(f"time has no end to advance to, got seconds={seconds!r}")
        if self._behind is not None:
            await asyncio.sleep(seconds)
            return
        arrived = self.create_future()
        heapq.heappush(self._targets, (self._now + seconds, next(self._order), arrived))
        await arrived

    def describe_time(self) -> str:
        """Say where virtual time stands, and what holds it up."""
        held = "" if self._behind is not None else ", ".join(self.outside.names())
        return f"its clock stands at {self.time():g} s" + (f", held up by {held}" if held else "")

    # What the loop asks when it has run all that was ready ----------------------------------------------------------

    def _select(self, timeout: float | None, poll: Poll) -> list[Any]:
        """Be ``select`` of the loop's selector: wait for descriptors for *timeout* seconds of this loop."""
        if self.wall.next_due <= time.monotonic():
            self.wall.run_due()
        if self._ready or self._stopping or (timeout is not None and timeout <= 0):  # type: ignore[attr-defined]
            return self._look(poll) if self._is_watching() else []
        if self._behind is not None:
            return poll(self.wall.bounded(timeout))
        if self._is_watching() or self.outside.is_conceivable():
            if (events := self._look(poll)) or self._ready:  # type: ignore[attr-defined]
                return events
            if self.outside.is_possible():
                return self._stand(poll)
            if events := self._let_arrive(poll):
                return events
        self._still_since = None
        return self._leap(poll)

    def _is_watching(self) -> bool:
        """Say whether there are descriptors beside the pipe that other threads write to, which also make ready."""
        return len(self._selector._fd_to_key) > 1 or bool(self._signal_handlers)  # type: ignore[attr-defined]

    def _look(self, poll: Poll) -> list[Any]:
        """Return what has happened at the descriptors."""
        events = poll(0)
        if events:
            self._still_since = None
        return events

    def _let_arrive(self, poll: Poll) -> list[Any]:
        """Return what happens at the descriptors until all that the loop has sent to itself has arrived."""
        began = time.monotonic()
        while self.outside.is_in_flight():
            if events := poll(0.001):
                return events
            passed = time.monotonic() - began
            # What the other end could not take at first is sent again later, the more so if it was much.
            if passed > self.patience or (passed > _FLIGHT and not self.outside.is_on_its_way()):
                break
        return poll(0)  # It may have arrived since the last look.

    def _stand(self, poll: Poll) -> list[Any]:
        """Wait for what may come from outside."""
        began = time.monotonic()
        if self._still_since is None:
            self._still_since = began
        patience = self.long_patience if self.outside.is_expected() else self.patience
        left = self._still_since + patience - began
        due = self._next_due()
        limit = min(_LOOK if self.outside.has_silent() else math.inf, left if left > 0 else due - self._now)
        events = poll(self.wall.bounded(limit))
        if left <= 0:
            self._arrive(min(self._now + time.monotonic() - began, max(due, self._now)))
        if events:
            self._still_since = None
        return events

    def _leap(self, poll: Poll) -> list[Any]:
        """Let time pass at once up to where something is due."""
        due = self._next_due()
        if due < math.inf:
            self._arrive(max(self._now, due))
        elif self._signal_handlers:  # type: ignore[attr-defined]
            return poll(self.wall.bounded(None))  # A signal may come from anywhere.
        else:
            self._wait_for_ever()
        return []

    def _next_due(self) -> float:
        """Return when the next timer fires or a call of `advance` ends; infinity if neither is there."""
        targets = self._targets
        while targets and targets[0][2].done():
            heapq.heappop(targets)
        due: float = self._scheduled[0].when() if self._scheduled else math.inf  # type: ignore[attr-defined]
        return min(due, targets[0][0]) if targets else due

    def _arrive(self, now: float) -> None:
        """Let it be *now*, and end the calls of `advance` that have come to their time, and to rest."""
        self._now = now
        # The loop takes a timer for due up to this before its time; far from 0 that much would be rounded away.
        self._clock_resolution = max(_RESOLUTION, math.ulp(now))
        targets = self._targets
        if not targets or (self._scheduled and self._scheduled[0].when() <= self._now):  # type: ignore[attr-defined]
            return
        while targets and targets[0][0] <= self._now:
            _, _, arrived = heapq.heappop(targets)
            if not arrived.done():
                arrived.set_result(None)

    def _wait_for_ever(self) -> None:
        if self.on_deadlock is not None:
            self.on_deadlock()
            if self._ready or self._stopping:  # type: ignore[attr-defined]
                return
        raise Deadlock(self.describe_deadlock())

    def describe_deadlock(self) -> str:
        """Say what each task waits for, as the message of a `Deadlock`."""
        return (
            f"everything waits for ever (at {self._now:g} s of virtual time): nothing is ready to run, no timer is set "
            f"and no work is under way outside\n{describe_waits(self, self.explain)}"
        )

    # What goes on outside ------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Run a job as asyncio does; time stands still until it is done."""
        future: Any = super().run_in_executor(executor, func, *args)
        self.outside.add_job(future)
        return future

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """Run *callback* soon, as asyncio does."""
        if getattr(callback, "__qualname__", "") == _RUNS_COROUTINE and threading.get_ident() != self._thread_id:  # type: ignore[attr-defined]
            self.outside.jobs_call_back = True
        return super().call_soon_threadsafe(callback, *args, context=context)

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        transport: Any = await super()._make_subprocess_transport(*args, **kwargs)  # type: ignore[misc]
        self.outside.children.add(transport)
        return transport

    async def shutdown_default_executor(self, *args: Any) -> None:
        """End the default executor as asyncio does; time stands still until its jobs are done."""
        ended = self.create_future()
        self.outside.add_job(ended)
        try:
            await super().shutdown_default_executor(*args)
        finally:
            ended.cancel()

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection as asyncio does."""
        accepted, address = await super().sock_accept(sock)
        self.outside.sockets.add(accepted)
        return accepted, address

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect as asyncio does."""
        self.outside.sockets.add(sock)
        await super().sock_connect(sock, address)


_RUNS_COROUTINE: Final = "run_coroutine_threadsafe.<locals>.callback"


class _Selector(selectors.DefaultSelector):
    """The platform's selector, except that its loop decides for how long to wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._poll: Poll = super().select

    def select(self, timeout: float | None = None) -> list[Any]:
        return self._loop._select(timeout, self._poll)

    def close(self) -> None:
        super().close()
        del self._loop, self._poll  # They lead in a circle.


class Wall:
    """Timers on the clock on the wall, for whoever guards a program in virtual time.

    Attributes:
        next_due: When the first one fires.
    """

    def __init__(self) -> None:
        self.next_due = math.inf
        self._timers: list[WallTimer] = []

    def time(self) -> float:
        """Return the real time in seconds, from no particular moment."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> WallTimer:
        """Run *callback* in *seconds* of real time, as far as the loop's code lets it."""
        timer = WallTimer(self, time.monotonic() + seconds, callback)
        self._timers.append(timer)
        self.next_due = min(self.next_due, timer.when)
        return timer

    def run_due(self) -> None:
        """Run what is due."""
        now = time.monotonic()
        for timer in sorted((each for each in self._timers if each.when <= now), key=lambda each: each.when):
            timer.cancel()
            timer.callback()

    def bounded(self, seconds: float | None) -> float | None:
        """Return how many real seconds the loop may wait that has *seconds*."""
        left = max(self.next_due - time.monotonic(), 0.0)
        shortest = left if seconds is None else min(seconds, left)
        return None if math.isinf(shortest) else shortest

    def forget(self, timer: WallTimer) -> None:
        """Never run *timer*."""
        if timer in self._timers:
            self._timers.remove(timer)
            self.next_due = min((each.when for each in self._timers), default=math.inf)


class WallTimer:
    """A timer of a `Wall`."""

    __slots__ = ("_wall", "callback", "when")

    def __init__(self, wall: Wall, when: float, callback: Callable[[], object]) -> None:
        self._wall = wall
        self.when = when
        self.callback = callback

    def cancel(self) -> None:
        """Do not run it."""
        self._wall.forget(self)
