"""Faults of messages: they are lost, late, there twice, or in another order on their way to a server.

Each is a function that switches it on, and a `supertester.chaos.Fault` of the same name for suites. Which messages are
hit is said alike for all of them:

- ``match``: a value to equal, a class to be an instance of, or a predicate; ``None`` for any message;
- ``rate``: the share of these, from 0 to 1;
- ``count``: how many at most;
- ``seed``: of the choices; by default that of the running test.

Exit signals, reports of monitors, timeouts of the server itself and requests of `supertester.otp.sys` are never hit. A
target that is given by its name is hit also after a restart, in whoever has the name then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from supertester._core.clock import TimerHandle
from supertester._core.waiting import checked_seconds
from supertester.chaos.chance import Chance, checked_count, checked_rate
from supertester.chaos.interception import MessageFault, MessageHit, keep
from supertester.chaos.journal import chosen_seed
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing

__all__ = ["Delay", "Drop", "Duplicate", "Reorder", "delay", "drop", "duplicate", "reorder"]


# The faults, as values ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Fault:
    name: str = field(default="", init=False)
    match: Any = None
    rate: float = 1.0
    count: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        checked_rate("rate", self.rate)
        if self.count is not None:
            checked_count("count", self.count)

    def on(self, target: Reference) -> MessageFault:
        """Switch it on for the messages to *target*.

        Raises:
            UsageError: The target is dead or unknown.
        """
        process = existing(target, self.name)
        chance = Chance(chosen_seed(self.seed, self.name), match=self.match, rate=self.rate, count=self.count)
        fault = self._made(target, chance)
        fault._begin_for(process)
        return fault

    @asynccontextmanager
    async def inject(self, target: Reference, /) -> AsyncIterator[MessageFault]:
        """Be on in the body, as `supertester.chaos.Fault` wants it."""
        with self.on(target) as evidence:
            yield evidence

    def _made(self, target: Any, chance: Chance) -> MessageFault:
        raise AssertionError("each fault says what makes it")


@dataclass(frozen=True, kw_only=True)
class Drop(_Fault):
    """Messages are lost; see `drop`."""

    name: str = field(default="drop", init=False)

    def _made(self, target: Any, chance: Chance) -> MessageFault:
        return _Dropping(self.name, target, chance)


@dataclass(frozen=True, kw_only=True)
class Duplicate(_Fault):
    """Messages arrive twice; see `duplicate`."""

    name: str = field(default="duplicate", init=False)

    def _made(self, target: Any, chance: Chance) -> MessageFault:
        return _Duplicating(self.name, target, chance)


@dataclass(frozen=True, kw_only=True)
class Delay(_Fault):
    """Messages arrive *ms* milliseconds late; see `delay`."""

    name: str = field(default="delay", init=False)
    ms: float

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_seconds("ms", self.ms)

    def _made(self, target: Any, chance: Chance) -> MessageFault:
        return _Delaying(self.name, target, chance, self.ms / 1000)


@dataclass(frozen=True, kw_only=True)
class Reorder(_Fault):
    """Messages overtake each other; see `reorder`."""

    name: str = field(default="reorder", init=False)
    window: int = 2
    patience_ms: float = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_count("window", self.window, 2)
        checked_seconds("patience_ms", self.patience_ms)

    def _made(self, target: Any, chance: Chance) -> MessageFault:
        return _Reordering(self.name, target, chance, self.patience_ms / 1000, self.window)


# What they do -------------------------------------------------------------------------------------------------------


class _Dropping(MessageFault):
    def _act(self, process: Process, entry: Any, hit: MessageHit) -> Iterable[Any]:
        hit.outcome = "dropped"
        keep(process, entry)
        return []


class _Duplicating(MessageFault):
    def _act(self, process: Process, entry: Any, hit: MessageHit) -> Iterable[Any]:
        hit.outcome, hit.delivered_ms = "delivered twice", hit.at_ms
        return [entry, entry]


@dataclass(eq=False)
class _Held:
    process: Process
    entry: Any
    hit: MessageHit
    due: float


class _Delaying(MessageFault):
    """Keeps messages back, each for so many seconds at most."""

    def __init__(self, fault: str, target: Any, chance: Chance, seconds: float) -> None:
        super().__init__(fault, target, chance)
        self._seconds = seconds
        self._held: deque[_Held] = deque()
        self._timer: TimerHandle | None = None

    def _act(self, process: Process, entry: Any, hit: MessageHit) -> Iterable[Any]:
        keep(process, entry)
        self._held.append(_Held(process, entry, hit, self._runtime.clock.time() + self._seconds))
        self._in_thread(self._arm)
        return []

    def _arm(self) -> None:
        """See to it that somebody looks when the first message that is held becomes due."""
        if self._timer is None and self._held:
            self._timer = self._runtime.clock.call_at(self._held[0].due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = self._runtime.clock.time()
        with self._lock:
            due = []
            while self._held and self._held[0].due <= now:
                due.append(self._held.popleft())
        self._deliver(due, "delivered late")
        self._arm()

    def _deliver(self, due: Iterable[_Held], outcome: str) -> None:
        for each in due:
            self._release(each.process, each.entry, each.hit, outcome)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            left = [*self._held]
            self._held.clear()
        self._deliver(left, "delivered at the end of the fault")


class _Reordering(_Delaying):
    def __init__(self, fault: str, target: Any, chance: Chance, seconds: float, window: int) -> None:
        super().__init__(fault, target, chance, seconds)
        self._window = window

    def _arm(self) -> None:
        super()._arm()
        with self._lock:
            if len(self._held) < self._window:
                return
            full = [self._held.popleft() for _ in range(self._window)]
        order = list(range(self._window))
        while order == sorted(order):  # One that changes nothing would be no fault.
            self._chance.random.shuffle(order)
        for place, number in enumerate(order, 1):
            each = full[number]
            outcome = f"delivered as number {place} instead of {number + 1}"
            self._release(each.process, each.entry, each.hit, outcome)


# Switching them on --------------------------------------------------------------------------------------------------


def drop(
    target: Reference, *, match: Any = None, rate: float = 1.0, count: int | None = None, seed: int | None = None
) -> MessageFault:
    """Lose messages to *target*. Whoever called it waits until his timeout, or hears of its end.

    Args:
        target: The server.
        match: Which messages: a value, a class or a predicate; ``None`` for any.
        rate: The share of them, from 0 to 1.
        count: How many at most.
        seed: Of the choices; by default that of the running test.

    Returns:
        The fault, which is on: a context manager, plain, whose ``hits`` say what it has done.

    Raises:
        UsageError: A value makes no sense, or the target is dead or unknown.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start(0)
    ...     with drop(agent, count=1) as dropped:
    ...         for _ in range(3):
    ...             Agent.cast(agent, lambda n: n + 1)
    ...     return await Agent.get(agent), [hit.outcome for hit in dropped.hits]
    >>> asyncio.run(main())
    (2, ['dropped'])
    """
    return Drop(match=match, rate=rate, count=count, seed=seed).on(target)


def duplicate(
    target: Reference, *, match: Any = None, rate: float = 1.0, count: int | None = None, seed: int | None = None
) -> MessageFault:
    """Let messages to *target* arrive twice; of the two replies to a call the first one counts.

    The arguments, the result and the errors are those of `drop`.
    """
    return Duplicate(match=match, rate=rate, count=count, seed=seed).on(target)


def delay(
    target: Reference,
    ms: float,
    *,
    match: Any = None,
    rate: float = 1.0,
    count: int | None = None,
    seed: int | None = None,
) -> MessageFault:
    """Let messages to *target* arrive *ms* milliseconds late, by the runtime's clock; others overtake them.

    Those that are late keep their order. What is still held when the fault is over is delivered then. The other
    arguments, the result and the errors are those of `drop`.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start([])
    ...     with delay(agent, 10_000, count=1) as late:
    ...         for name in "abc":
    ...             Agent.cast(agent, lambda seen, name=name: [*seen, name])
    ...         before = await Agent.get(agent)
    ...     return before, await Agent.get(agent), [hit.outcome for hit in late.hits]
    >>> asyncio.run(main())
    (['b', 'c'], ['b', 'c', 'a'], ['delivered at the end of the fault'])
    """
    return Delay(ms=ms, match=match, rate=rate, count=count, seed=seed).on(target)


def reorder(
    target: Reference,
    *,
    window: int = 2,
    patience_ms: float = 100,
    match: Any = None,
    rate: float = 1.0,
    count: int | None = None,
    seed: int | None = None,
) -> MessageFault:
    """Let messages to *target* overtake each other: of *window* that follow on each other, never in the order sent.

    Args:
        target: The server.
        window: How many are kept back until they are delivered in another order.
        patience_ms: Milliseconds, by the runtime's clock, after which a message does not wait for others any more: a
            caller that makes one call after the other would wait for ever.
        match: As in `drop`; so are the rest, the result and the errors.
        rate: The share of messages.
        count: How many at most.
        seed: Of the choices.
    """
    return Reorder(window=window, patience_ms=patience_ms, match=match, rate=rate, count=count, seed=seed).on(target)
