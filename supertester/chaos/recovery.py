"""`probe_recovery`: a system loses a part, and is well again when another has taken its place."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.waiting import Bell, checked_seconds, wait_until
from supertester.chaos.crash import inject_crash
from supertester.chaos.journal import ChaosEvent, journaled
from supertester.chaos.workers import kill_random_worker
from supertester.errors import UsageError, WaitTimeout
from supertester.otp.reasons import KILL
from supertester.targets.adapting import target_of
from supertester.targets.target import Identity, Target
from supertester.telemetry.emission import spanned

__all__ = ["Recovery", "probe_recovery"]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How a system got over the loss of a part.

    Attributes:
        recovered: Whether it was well again in time.
        recovery_ms: Milliseconds from the first end to that, or ``None``.
        ended: Who ended, and why, in that order.
        begun: Who has taken their places.
        faults: What the library has delivered, in order.
        mismatch: What to say if it did not recover, or ``None``.
    """

    recovered: bool
    recovery_ms: float | None
    ended: Mapping[Identity, Any]
    begun: tuple[Identity, ...]
    faults: tuple[ChaosEvent, ...]
    mismatch: Mismatch | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "recovered": self.recovered,
            "recovery_ms": self.recovery_ms,
            "ended": {str(identity): shown(reason) for identity, reason in self.ended.items()},
            "begun": [str(identity) for identity in self.begun],
            "faults": [event.to_dict() for event in self.faults],
            "mismatch": None if self.mismatch is None else self.mismatch.to_dict(),
        }


@spanned("chaos.recovery")
async def probe_recovery(
    system: Any,
    *,
    kill: Callable[[], Any] | None = None,
    within: float = 5.0,
    probe: Callable[[], Any] | None = None,
) -> Recovery:
    """Kill a part of *system*, and wait until as many live as before, one of them new, and *probe* finds all well.

    Args:
        system: What `target_of` makes a target of. Itself and its workers, if it has any, are its parts. If it is
            replaced as a whole, give a function that returns the present one, or a name.
        kill: What kills, plain or async; by default one worker, drawn by the test's seed, or the system itself if it
            has none.
        within: Seconds for the recovery, counted from the end of *kill*.
        probe: Says whether it is well, plain or async; an exception in it means that it is not yet. It is asked when
            the successors live. By default that they do is enough.

    Raises:
        UsageError: *system* is dead or unknown before it begins.
        Unsupported: It can be no target, or cannot be killed.

    Exceptions of *kill* are raised.

    >>> from supertester.otp import Agent, ChildSpec, Supervisor, register
    >>> async def main():
    ...     pool = await Supervisor.start_link([ChildSpec(name, Agent, args=(0,)) for name in "ab"])
    ...     recovery = await probe_recovery(pool)
    ...     return recovery.recovered, len(recovery.ended), len(recovery.begun)
    >>> asyncio.run(main())
    (True, 1, 1)
    """
    checked_seconds("within", within)
    for name, function in (("kill", kill), ("probe", probe)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function without arguments, got {name}={function!r}")
    watch = _Watch(system, probe)
    with ExitStack() as forgetting:
        watch.begin(forgetting)
        with journaled() as journal:
            await watch.kill(kill)
        problem = await watch.recovery(within)
    faults = tuple(journal.events)
    recovered_at = watch.now()
    return Recovery(
        recovered=problem is None,
        recovery_ms=None if problem is not None or watch.lost_at is None else (recovered_at - watch.lost_at) * 1000,
        ended={life: target.exit_reason for life, target in watch.ended.items()},
        begun=tuple(watch.successors()),
        faults=faults,
        mismatch=None if problem is None else Mismatch(problem, [*faults, *watch.story()]),
    )


@dataclass
class _Watch:
    """The parts of a system, before and after."""

    system: Any
    probe: Callable[[], Any] | None
    before: dict[Identity, Target] = field(default_factory=dict)
    after: dict[Identity, Target] = field(default_factory=dict)
    ended: dict[Identity, Target] = field(default_factory=dict)
    lost_at: float | None = None
    bell: Bell = field(default_factory=Bell)
    said: str = "it was not asked"
    target: Target = field(init=False)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def begin(self, forgetting: ExitStack) -> None:
        self.target = target_of(self.system)
        self.before = _parts(self.target)
        dead = [target for target in self.before.values() if not target.is_alive()]
        if dead:
            raise UsageError(f"assert_recovers: {dead[0]!r} is not alive, so there is nothing to kill", reason="noproc")
        for target in self.before.values():
            forgetting.callback(target.on_exit(self._lost))

    def _lost(self, target: Target) -> None:
        self.lost_at = self.now() if self.lost_at is None else self.lost_at
        self.ended[target.identity] = target
        self.bell.ring()

    async def kill(self, kill: Callable[[], Any] | None) -> None:
        if kill is not None:
            result = kill()
            if inspect.isawaitable(result):
                await result
        elif len(self.before) > 1:
            await kill_random_worker(self.target)
        else:
            await inject_crash(next(iter(self.before.values())), "immediate", reason=KILL)

    async def recovery(self, within: float) -> str | None:
        """Return what is to be said of a system that does not recover, or ``None``."""
        try:
            await wait_until(self._is_well, "recovery", timeout=within, bell=self.bell)
        except WaitTimeout:
            return self._what_lacks(within)
        return None

    async def _is_well(self) -> bool:
        for target in self.before.values():
            if not target.is_alive() and target.identity not in self.ended:
                self._lost(target)  # The event is on its way.
        if not self.ended:
            return False
        self.after = self._present()
        if len(self.after) < len(self.before) or not self.successors():
            return False
        return self.probe is None or await self._ask(self.probe)

    def _present(self) -> dict[Identity, Target]:
        if callable(self.system) or not self.target.is_alive():
            try:
                self.target = target_of(self.system)
            except UsageError:  # There is none just now.
                return {}
        return {life: target for life, target in _parts(self.target).items() if target.is_alive()}

    async def _ask(self, probe: Callable[[], Any]) -> bool:
        self.said = "it has not answered yet"
        try:
            value = probe()
            value = await value if inspect.isawaitable(value) else value
        except Exception as error:  # noqa: BLE001 - of a system that is not well
            self.said = f"it raised {type(error).__name__}: {error}"
            return False
        self.said = f"it gave {shown(value)}"
        return bool(value)

    def successors(self) -> list[Identity]:
        return [life for life in self.after if life not in self.before]

    def _what_lacks(self, within: float) -> str:
        name = shown(self.system)
        if not self.ended:
            return f"nothing of {name} was killed: of {len(self.before)} parts all were alive {within:g} s later"
        lost = f"{name} has lost {', '.join(map(str, self.ended))}"
        if not self.successors():
            return f"{lost}, and nobody has taken the place within {within:g} s"
        if len(self.after) < len(self.before):
            return f"{lost}, and has {len(self.after)} parts of {len(self.before)} after {within:g} s"
        assert self.probe is not None
        return f"{lost}, and the probe {describe(self.probe)} has not passed within {within:g} s: {self.said}"

    def story(self) -> list[str]:
        lost = [f"{life} ended with {shown(target.exit_reason)}" for life, target in self.ended.items()]
        return lost + [f"{life} has begun" for life in self.successors()]


def _parts(target: Target) -> dict[Identity, Target]:
    """Return *target* and its workers, if it can have any."""
    parts = [target]
    if target.supports("workers"):
        parts += target.workers()
    return {part.identity: part for part in parts}
