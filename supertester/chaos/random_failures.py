"""`inject_random_failures`: now and then, a request to a server or a pool fails, in one of three ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds
from supertester.chaos.chance import Chance, checked_rate
from supertester.chaos.interception import MessageFault, MessageHit, keep
from supertester.chaos.journal import chosen_seed
from supertester.chaos.os_signals import HasPid, HasWorkers, foreign_victim
from supertester.errors import UsageError
from supertester.otp.messages import PENDING, Call, Failure
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing
from supertester.otp.supervision import BaseSupervisor
from supertester.targets.embedded import EmbeddedTarget, running_children, signal_exit
from supertester.targets.target import Target

if TYPE_CHECKING:
    from supertester.chaos.network import NetworkProxy
    from supertester.chaos.process_failures import FailingWorkers

__all__ = ["FAILURE_TYPES", "RandomFailures", "inject_random_failures"]

FAILURE_TYPES = ("exit", "timeout", "disconnect")
"""The ways to fail that `inject_random_failures` knows."""
_REASON = "chaos_injection"


class _Failing(MessageFault):
    """Draws a way to fail for each message that is hit."""

    def __init__(self, target: Any, chance: Chance, types: tuple[str, ...]) -> None:
        super().__init__("random_failure", target, chance)
        self._types = types

    def _act(self, process: Process, entry: Any, hit: MessageHit) -> Iterable[Any]:
        way = self._chance.random.choice(self._types)
        if way == "exit":
            hit.outcome = "exit"
            self._in_thread(self._exit, process, entry, hit)
        elif way == "timeout":
            hit.outcome = "timeout: never delivered"
            keep(process, entry)
        else:
            hit.outcome = "disconnect: never delivered"
            self._in_thread(_disconnect, entry)
        return []

    def _exit(self, process: Process, entry: Any, hit: MessageHit) -> None:
        keep(process, entry)  # So that the caller hears why the target ended.
        signal_exit(process, _REASON)
        if process.exit_reason is None:
            self._release(process, entry, hit, "exit: survived, for it traps exits, and the message was delivered")
        else:
            hit.outcome = f"exit: ended with {shown(process.exit_reason)}"


def _disconnect(entry: Any) -> None:
    if isinstance(entry, Call) and entry.value is PENDING:
        entry.settle(Failure("disconnect"))


@dataclass(frozen=True, kw_only=True)
class RandomFailures:
    """Requests fail now and then, as a `supertester.chaos.Fault`; see `inject_random_failures`.

    For real workers ``every_ms`` makes attempts of its own in the body, one each so many milliseconds, for systems that
    have no place to call `FailingWorkers.attempt`.
    """

    name: str = field(default="random_failure", init=False)
    failure_rate: float
    failure_types: Iterable[str] = FAILURE_TYPES
    seed: int | None = None
    proxy_of: Callable[[Any], NetworkProxy] | None = None
    hold: float = 5.0
    every_ms: float | None = None

    def __post_init__(self) -> None:
        checked_rate("failure_rate", self.failure_rate)
        checked_seconds("hold", self.hold)
        if self.every_ms is not None:
            checked_seconds("every_ms", self.every_ms, positive=True)
        if isinstance(self.failure_types, str):
            raise TypeError(f"failure_types is a list, got {self.failure_types!r}; write [{self.failure_types!r}]")
        types = tuple(self.failure_types)
        if not types or not set(types) <= set(FAILURE_TYPES):
            raise UsageError(f"failure_types are one or more of {', '.join(FAILURE_TYPES)}; got {list(types)!r}")
        object.__setattr__(self, "failure_types", types)

    def on(self, target: Reference | Target | HasPid | HasWorkers) -> MessageFault | FailingWorkers:
        """Switch it on for *target*, or, if that is a supervisor or a pool, for its children or workers.

        Raises:
            UsageError: The target is dead or unknown.
            Unsupported: Its workers are no processes, or have no proxy that could disconnect them.
        """
        found = foreign_victim(target, "inject_random_failures")
        if found is not None and not isinstance(found, EmbeddedTarget):
            from supertester.chaos.process_failures import FailingWorkers

            types = tuple(self.failure_types)
            return FailingWorkers(
                found, self.failure_rate, types, seed=self.seed, proxy_of=self.proxy_of, hold=self.hold
            )
        if self.proxy_of is not None:
            raise UsageError(
                f"inject_random_failures: {target!r} has no proxy, as real processes do; leave proxy_of out"
            )
        return self._of_messages(target if found is None else found.process)

    def _of_messages(self, target: Any) -> MessageFault:
        process = existing(target, "inject_random_failures")
        seed = chosen_seed(self.seed, "inject_random_failures")
        chance = Chance(seed, match=None, rate=self.failure_rate, count=None)
        fault = _Failing(target, chance, tuple(self.failure_types))
        if isinstance(process.server, BaseSupervisor):
            children = [child for _, child in running_children(process)]
            fault._begin(children, process.runtime, lambda new: new.spawner is process)
        else:
            fault._begin_for(process)
        return fault

    @asynccontextmanager
    async def inject(self, target: Reference | Target, /) -> AsyncIterator[MessageFault | FailingWorkers]:
        """Be on in the body, as `supertester.chaos.Fault` wants it."""
        with self.on(target) as evidence:
            if isinstance(evidence, MessageFault) or self.every_ms is None:
                yield evidence
                return
            striking = asyncio.ensure_future(evidence.strike_every(self.every_ms / 1000))
            try:
                yield evidence
            finally:
                striking.cancel()
                await asyncio.gather(striking, return_exceptions=True)


@overload
def inject_random_failures(
    target: Pid | str,
    *,
    failure_rate: float,
    failure_types: Iterable[str] = ...,
    seed: int | None = ...,
    proxy_of: None = ...,
    hold: float = ...,
) -> MessageFault: ...


@overload
def inject_random_failures(
    target: HasPid | HasWorkers,
    *,
    failure_rate: float,
    failure_types: Iterable[str] = ...,
    seed: int | None = ...,
    proxy_of: Callable[[Any], NetworkProxy] | None = ...,
    hold: float = ...,
) -> FailingWorkers: ...


@overload
def inject_random_failures(
    target: Reference | Target,
    *,
    failure_rate: float,
    failure_types: Iterable[str] = ...,
    seed: int | None = ...,
    proxy_of: Callable[[Any], NetworkProxy] | None = ...,
    hold: float = ...,
) -> MessageFault | FailingWorkers: ...


def inject_random_failures(
    target: Reference | Target | HasPid | HasWorkers,
    *,
    failure_rate: float,
    failure_types: Iterable[str] = FAILURE_TYPES,
    seed: int | None = None,
    proxy_of: Callable[[Any], NetworkProxy] | None = None,
    hold: float = 5.0,
) -> MessageFault | FailingWorkers:
    """Let requests to *target* fail at random until the end of the ``with`` block, or of the test.

    Args:
        target: A server, or a supervisor, which stands for all its children, those that it starts meanwhile included.
            Or a pool of real processes, or one such process: what `supertester.targets.target_of` takes.
        failure_rate: The share of the messages, or of the attempts, that fail, from 0 to 1.
        failure_types: Which ways to fail there are, one of them is drawn each time. ``"exit"``: the server gets an exit
            signal before the message, and the caller hears of its end; if it traps exits it gets the message, too.
            ``"timeout"``: the message is never delivered, and the caller waits as long as he will. ``"disconnect"``: it
            is never delivered, and the caller gets `CallExit` with the reason ``"disconnect"`` at once.
        seed: Of the choices; by default that of the running test.
        proxy_of: For real processes, the `NetworkProxy` of a worker.
        hold: For real processes, seconds for which one stands still at most.

    Nobody stands between the requests to real processes. So the system says when it makes one, by the body of
    ``with failures.attempt(worker):`` (see `FailingWorkers`); exactly the share of these fails, each way in turn, in
    the order of a `FailureDeck`. ``"exit"`` kills the worker before the request. ``"timeout"`` lets it stand still
    until the end of the body, or lets nothing pass through its proxy. ``"disconnect"`` resets its connections, which
    takes a proxy.

    Returns:
        The fault, which is on: a plain context manager; ``hits`` has every failure, with whom it hit and what became of
        that.

    Raises:
        UsageError: The rate is not from 0 to 1, a type is unknown, or the target is dead or unknown.
        Unsupported: ``"disconnect"`` of real processes without proxies.

    >>> import asyncio
    >>> from supertester.errors import CallExit
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start(0)
    ...     with inject_random_failures(agent, failure_rate=1, failure_types=["disconnect"]):
    ...         try:
    ...             await Agent.get(agent)
    ...         except CallExit as error:
    ...             return error.reason, agent.is_alive()
    >>> asyncio.run(main())
    ('disconnect', True)
    """
    failures = RandomFailures(
        failure_rate=failure_rate, failure_types=failure_types, seed=seed, proxy_of=proxy_of, hold=hold
    )
    return failures.on(target)
