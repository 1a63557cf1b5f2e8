"""How full a mailbox, or a queue, gets while something happens."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

from supertester._core.clock import Clock, LoopClock
from supertester._core.evidence import history_of, shown
from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.otp.intercept import observe_entries
from supertester.otp.messages import System
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing
from supertester.targets.adapting import referred
from supertester.targets.embedded import EmbeddedTarget
from supertester.targets.target import Target
from supertester.telemetry.emission import spanned

__all__ = ["MailboxReport", "check_mailbox_stable", "measure_mailbox_growth"]


@dataclass(frozen=True, kw_only=True)
class MailboxReport:
    """How many messages waited in a mailbox or a queue; a dead process has none.

    Attributes:
        initial_size: Before.
        final_size: Afterwards.
        max_size: At most; exact for a mailbox, because it is counted at every delivery.
            Of a queue, what was seen.
        avg_size: On average over time.
        result: What the function returned.
        histogram: How many messages were the first in the mailbox when they arrived, how many the second, ...; exact.
            Not known of a queue, nor are the ages.
        max_age_ms: The longest that a message waited until it was handled, in milliseconds. One that had been there
            before counts from the beginning, one that is there still counts up to the end.
        avg_age_ms: How long those that were handled waited on average; 0 if none was.
    """

    initial_size: int
    final_size: int
    max_size: int
    avg_size: float
    result: Any
    histogram: dict[int, int] = field(default_factory=dict)
    max_age_ms: float = 0.0
    avg_age_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        histogram = {str(size): count for size, count in self.histogram.items()}
        return {**vars(self), "result": shown(self.result), "histogram": histogram}


@runtime_checkable
class Queue(Protocol):
    """What tells how many wait in it: a queue of asyncio, of threads, or of other processes."""

    def qsize(self) -> int:
        """Return how many wait."""
        ...


@spanned("performance.measure_mailbox_growth", current=False)
async def measure_mailbox_growth(
    server: Reference | Queue, fn: Callable[[], Any], *, sampling_interval: float = 10
) -> MailboxReport:
    """Run *fn*, plain or async, and return how many messages waited in the mailbox of *server* meanwhile.

    Args:
        server: The process; it may die, and is not disturbed. Or a worker that is none, of those that
            `supertester.targets.target_of` makes a target of, or its queue: whatever has a ``queue_len()`` or a
            ``qsize()``, which is looked at before and after and once in each interval while the loop runs.
        fn: Its exception is raised.
        sampling_interval: Milliseconds between two looks for the average; deliveries are looked at too.

    Raises:
        UsageError: *server* is dead or unknown, or the interval is 0.
        Unsupported: It is something else that has no queue.

    >>> import asyncio
    >>> from supertester.otp import GenServer
    >>> class Sink(GenServer):
    ...     def handle_cast(self, message):
    ...         pass
    >>> async def main():
    ...     sink = await Sink.start_link()
    ...     return (await measure_mailbox_growth(sink, lambda: [sink.cast(n) for n in range(5)])).max_size
    >>> asyncio.run(main())
    5
    """
    if isinstance(sampling_interval, bool) or not isinstance(sampling_interval, (int, float)):
        raise TypeError(f"sampling_interval must be a number of milliseconds, got {sampling_interval=}")
    if not sampling_interval > 0:
        raise UsageError(f"sampling_interval must be more than 0 milliseconds, got {sampling_interval=}")
    if (waiting := _queue_of(server)) is not None:
        sampler, watching = _watch_queue(waiting, sampling_interval / 1000)
    else:
        sampler, watching = _watch_mailbox(existing(server, "measure_mailbox_growth"), sampling_interval / 1000)
    initial = sampler.highest
    with watching:
        sampler.look()
        try:
            result = fn()
            if inspect.isawaitable(result):
                result = await result
        finally:
            sampler.stop()
    return MailboxReport(
        initial_size=initial,
        final_size=sampler.final,
        max_size=sampler.highest,
        avg_size=sampler.average(),
        result=result,
        histogram=dict(sorted(sampler.histogram.items())),
        max_age_ms=sampler.longest * 1000,
        avg_age_ms=sampler.waited / sampler.done * 1000 if sampler.done else 0.0,
    )


def _watch_mailbox(process: Process, interval: float) -> tuple[_Sampler, AbstractContextManager[Any]]:
    sampler = _Sampler(partial(_size, process), process.runtime.clock, interval)
    sampler.note_waiting()
    watching = ExitStack()
    watching.enter_context(observe_entries(process, sampler.delivered))
    watching.enter_context(_handled(process, sampler.handled))
    return sampler, watching


def _queue_of(server: Any) -> Callable[[], int] | None:
    """Return what tells how many wait in *server*, or ``None`` for a process of the runtime, which tells of each."""
    if isinstance(server, Queue):
        return server.qsize
    target = referred(server)
    return None if not isinstance(target, Target) or isinstance(target, EmbeddedTarget) else target.queue_len


def _watch_queue(size: Callable[[], int], interval: float) -> tuple[_Sampler, AbstractContextManager[Any]]:
    return _Sampler(size, LoopClock(asyncio.get_running_loop()), interval), nullcontext()


async def check_mailbox_stable(
    server: Reference | Queue, *, during: Callable[[], Any], max_size: int = 100, sampling_interval: float = 10
) -> tuple[MailboxReport, Mismatch | None]:
    """Run *during*, and return the report with what to say if the mailbox of *server* held more than *max_size*.

    Raises:
        UsageError: As for `measure_mailbox_growth`; or *max_size* is negative.
    """
    if isinstance(max_size, bool) or not isinstance(max_size, int):
        raise TypeError(f"max_size must be an integer, got max_size={max_size!r}")
    if max_size < 0:
        raise UsageError(f"max_size must be 0 or more, got max_size={max_size!r}")
    subject = existing(server, "assert_mailbox_stable") if _queue_of(server) is None else server
    report = await measure_mailbox_growth(subject, during, sampling_interval=sampling_interval)
    if report.max_size <= max_size:
        return report, None
    sizes = f"initial {report.initial_size}, final {report.final_size}, average {report.avg_size:.1f}"
    if isinstance(subject, Process):
        sizes += f", waited at most {report.max_age_ms:.3g} ms"
    message = f"mailbox size exceeded maximum: {subject!r} had {report.max_size} > {max_size} messages ({sizes})"
    return report, Mismatch(message, history_of(subject) if isinstance(subject, Process) else [])


def _size(process: Process) -> int:
    return sum(not isinstance(entry, System) for entry in list(process.queue))


class _Noted(deque[Any]):
    """The last messages of a process, which tells of each when it is handled."""

    def __init__(self, before: deque[Any] | None, note: Callable[[], None]) -> None:
        super().__init__(before or (), before.maxlen if before is not None else 0)
        self._note = note

    def append(self, entry: Any) -> None:
        super().append(entry)
        self._note()


@contextmanager
def _handled(process: Process, note: Callable[[], None]) -> Iterator[None]:
    """Call *note* for each message that *process* handles in the body."""
    before = process.record
    noted = process.record = _Noted(before, note)
    try:
        yield
    finally:
        if process.record is noted:
            process.record = None if before is None else deque(noted, before.maxlen)


class _Sampler:
    """Follows a size; between two looks it counts as what it was at the first."""

    def __init__(self, size: Callable[[], int], clock: Clock, interval: float) -> None:
        self._size_now = size
        self._interval = interval
        self._clock = clock
        self._began = self._last = clock.time()
        self._size = self.highest = size()
        self._area = 0.0
        self._timer: Any = None
        self._arrived: deque[float] = deque()
        self.histogram: dict[int, int] = {}
        self.longest = self.waited = 0.0
        self.done = 0

    def note_waiting(self) -> None:
        """Let what is there already count as arrived now."""
        self._arrived.extend([self._began] * self._size)

    def delivered(self, _: Any) -> None:
        size = self._size_now() + 1
        self._note(size)
        self.histogram[size] = self.histogram.get(size, 0) + 1
        self._arrived.append(self._last)

    def handled(self) -> None:
        """Note that the message which has waited longest is being handled."""
        if self._arrived:
            age = self._clock.time() - self._arrived.popleft()
            self.longest = max(self.longest, age)
            self.waited += age
            self.done += 1

    def look(self) -> None:
        """Look now, and again after each interval."""
        self._note(self._size_now())
        self._timer = self._clock.call_at(self._clock.time() + self._interval, self.look)

    @property
    def final(self) -> int:
        """What it was when it was looked at last."""
        return self._size

    def stop(self) -> None:
        self._note(self._size_now())
        if self._arrived:
            self.longest = max(self.longest, self._last - self._arrived[0])
        if self._timer is not None:
            self._timer.cancel()

    def _note(self, size: int) -> None:
        now = self._clock.time()
        self._area += self._size * (now - self._last)
        self._last, self._size = now, size
        self.highest = max(self.highest, size)

    def average(self) -> float:
        elapsed = self._last - self._began
        return self._area / elapsed if elapsed > 0 else float(self._size)
