"""`inject_crash`: one process gets an exit signal, now, later or perhaps; and what became of it."""

from __future__ import annotations

import asyncio
import random
import signal as signals
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from supertester._core.clock import Clock, LoopClock
from supertester._core.evidence import shown
from supertester._core.waiting import checked_seconds
from supertester.chaos.chance import checked_rate
from supertester.chaos.journal import chosen_seed, noting_here
from supertester.chaos.os_signals import foreign_victim
from supertester.context import current_context
from supertester.errors import Unsupported, UsageError, WaitTimeout
from supertester.otp.idle import until_idle
from supertester.otp.reasons import KILL, is_reason
from supertester.otp.refs import Reference, existing
from supertester.targets.embedded import EmbeddedTarget, signal_exit
from supertester.targets.os_process import ProcessTarget, signal_of
from supertester.targets.target import Target
from supertester.telemetry.emission import spanned

__all__ = ["Injection", "inject_crash"]

_REASON = "chaos_injection"
_DYING = 5.0
"""Seconds that the system may take to end what was killed."""
_SPECS = '"immediate", ("after_ms", milliseconds), ("random", probability from 0 to 1)'


@dataclass(eq=False)
class Injection:
    """A crash that was asked for, as it stands now; await it to wait until it has come or will not come any more.

    For a process of the operating system it is a `ProcessInjection`, which knows more.

    Attributes:
        target: Whom it is meant for.
        spec: When it was to come.
        signal: The exit reason that is sent.
        seed: What decided it, if chance did.
        fired: Whether the signal has been sent.
    """

    target: Any  # A process of `supertester.otp`, or a `Target`.
    spec: Any
    signal: Any
    seed: int | None = None
    fired: bool = False
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    _note: Callable[[str, Any, Any], None] = field(default_factory=noting_here)
    _timer: Any = None
    _forget: Any = None

    @property
    def died(self) -> bool:
        """Whether the target has ended since the signal was sent; one that traps exits may go on."""
        return self.fired and self.target.exit_reason is not None

    @property
    def reason(self) -> Any:
        """The exit reason of the target, whatever it ended by; ``None`` while it is alive."""
        return self.target.exit_reason

    def __await__(self) -> Generator[Any, None, Self]:
        return self._wait().__await__()

    async def _wait(self) -> Self:
        await self._decided.wait()
        if isinstance(self.target, Target) and is_reason(self.signal, KILL):
            return await self.wait_for_end(_DYING)
        return self

    async def wait_for_end(self, timeout: float = 5.0) -> Self:
        """Give the target, if it was hit, so many seconds to handle the signal; `died` then tells whether it ended."""
        if self.fired and not self.died:
            with suppress(WaitTimeout, UsageError):
                if isinstance(self.target, Target):
                    await self.target.wait(timeout)
                else:
                    await until_idle(self.target, timeout=timeout)
        return self

    def cancel(self) -> None:
        """Do not crash the target, if it has not come to that."""
        if not self._decided.is_set():
            self._settle()

    def _fire(self, *_: Any) -> None:
        if self._decided.is_set():
            return
        self.fired = True
        self._deliver()
        self._settle()

    def _deliver(self) -> None:
        self._note("crash", self.target, {"reason": shown(self.signal)})
        if isinstance(self.target, Target):
            self.target.kill(self.signal)
        else:
            signal_exit(self.target, self.signal)

    def _settle(self, *_: Any) -> None:
        self._decided.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._forget is not None:
            self._forget()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form of how it stands now."""
        return {
            "target": shown(self.target),
            "spec": shown(self.spec),
            "signal": shown(self.signal),
            "seed": self.seed,
            "fired": self.fired,
            "died": self.died,
            "reason": None if self.reason is None else shown(self.reason),
        }

    def __repr__(self) -> str:
        state = "fired" if self.fired else "not fired"
        return f"<Injection into {self.target!r}: {state}, {'died' if self.died else 'not died'}>"


@spanned("chaos.crash")
async def inject_crash(
    target: Reference | Target, spec: Any, *, reason: Any = _REASON, seed: int | None = None, tree: bool = False
) -> Injection:
    """Send *target* an exit signal, and return a handle that tells what became of it.

    Args:
        target: The process; or anything else that `supertester.targets.target_of` makes a target of: a task, a process
            of the operating system, an actor.
        spec: ``"immediate"``; ``("after_ms", n)``: in n milliseconds of the runtime's clock, unless the target ends
            before; ``("random", p)``: at once with probability p.
        reason: The exit reason of the signal. It comes from no process: one that traps exits gets it as a message and
            may survive, and ``NORMAL`` is ignored by the others. What is no process of `supertester.otp` is ended as
            its `supertester.targets.Target.kill` says, by default by `KILL`, whose effect is waited for. For a process
            of the operating system, and a server that has one for itself: any signal, such as ``signal.SIGSEGV`` or its
            name; if it ends the process for certain, that is waited for.
        seed: Of the choice; by default that of the running test.
        tree: Hit all that a process of the operating system has started, too.

    Raises:
        UsageError: The target is dead, unknown or the process of the test itself, or *spec* makes no sense; nothing has
            been done then.
        Unsupported: The target is one that cannot be killed, such as a thread, or has no *tree*.

    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start(0)
    ...     return (await inject_crash(agent, "immediate")).reason
    >>> asyncio.run(main())
    'chaos_injection'
    """
    kind, number = _parsed(spec)
    injection = _aimed(target, spec, reason, tree=tree)
    if kind == "random":
        injection.seed = chosen_seed(seed, "inject_crash")
        if random.Random(injection.seed).random() >= number:
            injection.cancel()
            return injection
    if kind == "after_ms":
        _fire_later(injection, number / 1000)
        return injection
    injection._fire()
    return await injection


def _is_signal(reason: Any) -> bool:
    """Say whether *reason* is meant for the operating system, also if a server of the runtime is the target."""
    return isinstance(reason, signals.Signals) or (isinstance(reason, str) and reason in signals.Signals.__members__)


def _aimed(target: Any, spec: Any, reason: Any, *, tree: bool) -> Injection:
    found = foreign_victim(target, "inject_crash", behind=_is_signal(reason))
    if isinstance(found, ProcessTarget):
        from supertester.chaos.process_crash import ProcessInjection

        return ProcessInjection(found, spec, signal_of(KILL if reason == _REASON else reason), tree=tree)
    if tree:
        raise Unsupported(f"inject_crash: {target!r} has no tree of processes; kill the children of a supervisor")
    if found is None or isinstance(found, EmbeddedTarget):
        return Injection(existing(target if found is None else found.process, "inject_crash"), spec, reason)
    if not found.supports("kill"):
        raise found.unsupported("kill")
    reason = KILL if reason == _REASON else reason
    found.check_reason(reason)
    return Injection(found, spec, reason)


def _fire_later(injection: Injection, seconds: float) -> None:
    target = injection.target
    clock: Clock = LoopClock(asyncio.get_running_loop()) if isinstance(target, Target) else target.runtime.clock
    injection._timer = clock.call_at(clock.time() + seconds, injection._fire)
    injection._forget = injection.target.on_exit(injection._settle)
    if (context := current_context.get()) is not None and not context.closed:
        context.add_cleanup(injection.cancel)


def _parsed(spec: Any) -> tuple[str, float]:
    if spec == "immediate":
        return "immediate", 0.0
    if not (isinstance(spec, tuple) and len(spec) == 2 and spec[0] in ("after_ms", "random")):
        raise UsageError(f"a crash comes {_SPECS}; got {spec!r}")
    kind, number = spec
    if kind == "after_ms":
        return kind, checked_seconds("after_ms", number)
    return kind, checked_rate("probability", number)
