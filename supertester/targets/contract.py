"""`check_target_contract`: whether an adapter keeps the promises of `Target`, for those who write one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds, wait_until
from supertester.errors import Unsupported, UsageError, WaitTimeout
from supertester.targets.adapting import target_of
from supertester.targets.target import Identity, Target

__all__ = ["CAPABILITIES", "check_target_contract"]

CAPABILITIES: Final = ("kill", "stop", "suspend", "resume", "queue_len", "sync", "workers")
"""What a target may or may not be able to do, by the names of the methods."""
_AWAITED: Final = frozenset({"stop", "suspend", "resume", "sync"})
_TURNS: Final = 20
"""Turns of the loop in which what should not come may come."""


async def check_target_contract(
    factory: Callable[[], Any], *, supports: Iterable[str] = (), timeout: float = 10.0
) -> Mismatch | None:
    """Say which clauses of the contract of `Target` an adapter breaks, or return ``None``.

    Begins three lives, one after the other: one that is looked at, held up and ended; one that is asked to stop; and
    one that is killed while it stands still. What a target does not support is left out, but must say so.

    Args:
        factory: Starts the system anew and returns its target, or what `target_of` makes one of; plain or async.
        supports: Capabilities that it must have, of `CAPABILITIES`: to leave one out is allowed otherwise.
        timeout: Seconds for each thing that is waited for.

    Raises:
        UsageError: *supports* names no capability.

    >>> from supertester.otp import KILL
    >>> class Lamp(Target):
    ...     exit_reason = None
    ...     identity = Identity("lamp", None, 1)
    ...     def kill(self, reason=KILL):
    ...         self.exit_reason = "killed"
    ...     async def stop(self, timeout=5.0):
    ...         return "stopped"
    >>> print(asyncio.run(check_target_contract(Lamp)))
    Lamp breaks 2 clauses of Target:
      identity: is lamp (generation 1) for two lives
      stop: returned before it had ended
    """
    wanted = (supports,) if isinstance(supports, str) else tuple(supports)
    for name in wanted:
        if name not in CAPABILITIES:
            raise UsageError(f"a capability is one of {', '.join(CAPABILITIES)}; got {name!r}")
    contract = _Contract(factory, wanted, checked_seconds("timeout", timeout))
    await contract.run()
    if not contract.broken:
        return None
    count = len(contract.broken)
    lines = [f"{contract.name} breaks {count} clause{'s' if count > 1 else ''} of Target:"]
    return Mismatch("\n".join([*lines, *(f"  {clause}: {why}" for clause, why in contract.broken.items())]))


class _Broken(Exception):
    """A clause is broken, and how."""


def _hold(condition: object, otherwise: str) -> None:
    if not condition:
        raise _Broken(otherwise)


async def _value(result: Any) -> Any:
    return await result if inspect.iscoroutine(result) else result  # A task is awaitable, and a system itself.


@dataclass
class _Contract:
    factory: Callable[[], Any]
    wanted: tuple[str, ...]
    timeout: float
    broken: dict[str, str] = field(default_factory=dict)
    name: str = "the factory"

    @contextmanager
    def clause(self, name: str) -> Iterator[None]:
        """Note that the clause *name* is broken if the body fails."""
        try:
            yield
        except _Broken as error:
            self.broken.setdefault(name, str(error))
        except Exception as error:  # noqa: BLE001 - of the adapter under test
            self.broken.setdefault(name, f"raised {type(error).__name__}: {error}")

    async def run(self) -> None:
        first = await self.begin()
        if first is None:
            return
        await self.look(first)
        await self.hold_up(first)
        await self.end(first)
        if first.supports("stop"):
            await self.stopped(first)
        if first.supports("suspend") and first.supports("kill"):
            await self.killed_while_suspended()

    async def begin(self) -> Target | None:
        """Return a new target that is alive."""
        begun: list[Target] = []
        with self.clause("factory"):
            target = target_of(await _value(self.factory()))
            self.name = type(target).__name__
            _hold(target.is_alive(), f"returned {target!r}, which is not alive")
            begun.append(target)
        return begun[0] if begun else None

    # A life that is looked at ----------------------------------------------------------------------------------------

    async def look(self, target: Target) -> None:
        with self.clause("identity"):
            self.check_identity(target)
        with self.clause("alive"):
            seen = (target.is_alive(), target.exit_reason, target.state)
            _hold(
                seen == (True, None, "running"), f"(is_alive(), exit_reason, state) is {seen!r} for one that has begun"
            )
        with self.clause("wait"):
            await self.check_wait(target)
        with self.clause("identity" if "identity" in self.broken else "repr"):
            _hold(target.identity.id in repr(target), f"{target!r} does not say {target.identity.id!r}")
        for capability in CAPABILITIES:
            if not target.supports(capability):
                with self.clause("unsupported"):
                    await self.check_unsupported(target, capability)
        await self.ask(target)

    def check_identity(self, target: Target) -> None:
        first: Any = target.identity
        second: Any = target.identity
        _hold(isinstance(first, Identity), f"is {first!r}, which is no Identity")
        _hold(first == second, f"was {first} and then {second}")
        _hold(isinstance(first.id, str) and first.id, f"has the id {first.id!r}, which says nothing")
        _hold(isinstance(first.generation, int), f"has the generation {first.generation!r}, which is no int")
        _hold(
            first.pid is None or isinstance(first.pid, int), f"has the pid {first.pid!r}, which is neither int nor None"
        )
        hash(first)

    async def check_wait(self, target: Target) -> None:
        try:
            reason = await target.wait(0)
        except WaitTimeout:
            return
        raise _Broken(f"wait(0) returned {reason!r} for one that is alive instead of raising WaitTimeout")

    async def check_unsupported(self, target: Target, capability: str) -> None:
        _hold(capability not in self.wanted, f"{capability} is to be supported, and is not")
        try:
            await self.call(target, capability)
        except Unsupported as error:
            _hold(f"{capability}()" in str(error), f"{capability}() raised {error}, which does not name it")
            return
        raise _Broken(f"supports({capability!r}) is false, and {capability}() did not raise Unsupported")

    async def call(self, target: Target, capability: str) -> Any:
        result = getattr(target, capability)()
        return await result if capability in _AWAITED else result

    async def ask(self, target: Target) -> None:
        if target.supports("queue_len"):
            with self.clause("queue_len"):
                length: Any = target.queue_len()
                _hold(isinstance(length, int) and length >= 0, f"returned {length!r}, which is no number of 0 or more")
        if target.supports("sync"):
            with self.clause("sync"):
                await target.sync(self.timeout)
        if target.supports("workers"):
            with self.clause("workers"):
                self.check_workers(target, list(target.workers()))

    def check_workers(self, target: Target, workers: list[Any]) -> None:
        others = [worker for worker in workers if not isinstance(worker, Target)]
        _hold(not others, f"has {others!r}, which are no targets")
        dead = [worker for worker in workers if not worker.is_alive()]
        _hold(not dead, f"has {dead!r}, which have ended")
        identities = [worker.identity for worker in workers]
        _hold(len(set(identities)) == len(identities), f"has the same one twice: {identities!r}")
        _hold(target.identity not in identities, "has the target itself")
        again = [worker.identity for worker in target.workers() if worker.identity in identities]
        _hold(bool(again) or not identities, "has another identity for each worker whenever it is asked")

    async def hold_up(self, target: Target) -> None:
        if not (target.supports("suspend") and target.supports("resume")):
            return
        with self.clause("suspend"):
            await target.suspend()
            _hold(target.is_alive(), "ended it")
            _hold(target.state == "stopped", f"left it {target.state!r}, not 'stopped'")
        with self.clause("resume"):
            await target.resume()
            await self.reach(lambda: target.state == "running", lambda: f"left it {target.state!r}, not 'running'")
            await target.resume()
            _hold(target.is_alive(), "ended one that did not stand still")

    async def reach(self, condition: Callable[[], object], otherwise: Callable[[], str]) -> None:
        try:
            await wait_until(condition, "it", timeout=self.timeout)
        except WaitTimeout:
            raise _Broken(f"{otherwise()} within {self.timeout:g} s") from None

    # Its end ---------------------------------------------------------------------------------------------------------

    async def end(self, target: Target) -> None:
        way = next((each for each in ("kill", "stop") if target.supports(each)), None)
        if way is None:
            self.broken["end"] = "it supports neither kill() nor stop(), so nothing about its end can be tried"
            return
        identity, told, forgotten = target.identity, list[Any](), list[Any]()
        forget_told: Callable[[], object] = list
        with self.clause("on_exit"):
            forget_told = target.on_exit(told.append)
            forget = target.on_exit(forgotten.append)
            forget()
            forget()
        with self.clause(way):
            await self.call(target, way)
            await self.reach(lambda: not target.is_alive(), lambda: "did not end it")
        if target.is_alive():
            forget_told()
            return
        with self.clause("on_exit"):
            await self.check_told(target, told, forgotten)
        with self.clause("exit_reason"):
            await self.check_reason(target)
        await self.after(target, identity, way)

    async def check_told(self, target: Target, told: list[Any], forgotten: list[Any]) -> None:
        await self.reach(lambda: told, lambda: "did not call back")
        late: list[Any] = []
        target.on_exit(late.append)
        await self.reach(lambda: late, lambda: "did not call back for one that had ended before")
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        _hold(told == [target] and late == [target], f"called back with {told + late!r}, not once with the target")
        _hold(not forgotten, "called back what was forgotten")

    async def check_reason(self, target: Target) -> None:
        reason = target.exit_reason
        _hold(reason is not None, "is None for one that has ended")
        waited = await target.wait(0)
        _hold(waited == reason == target.exit_reason, f"is {shown(reason)}, and wait() returned {shown(waited)}")

    async def after(self, target: Target, identity: Identity, way: str) -> None:
        with self.clause("identity"):
            _hold(target.identity == identity, f"was {identity}, and after its end {target.identity}")
        with self.clause("state"):
            _hold(target.state in ("gone", "zombie"), f"is {target.state!r} for one that has ended")
        with self.clause(f"{way} of one that has ended"):
            reason = target.exit_reason
            await self.call(target, way)
            _hold(
                target.exit_reason == reason, f"changed the reason from {shown(reason)} to {shown(target.exit_reason)}"
            )
        with self.clause("repr"):
            repr(target)

    # Other lives -----------------------------------------------------------------------------------------------------

    async def stopped(self, first: Target) -> None:
        target = await self.begin()
        if target is None:
            return
        with self.clause("identity"):
            _hold(target.identity != first.identity, f"is {first.identity} for two lives")
        with self.clause("stop"):
            returned = await target.stop(self.timeout)
            _hold(not target.is_alive(), "returned before it had ended")
            _hold(returned == target.exit_reason, f"returned {shown(returned)}, not the reason")
            again = await target.stop(self.timeout)
            _hold(again == returned, f"returned {shown(again)} for one that had ended with {shown(returned)}")
        self.tidy(target)

    async def killed_while_suspended(self) -> None:
        target = await self.begin()
        if target is None:
            return
        with self.clause("kill of one that stands still"):
            await target.suspend()
            target.kill()
            await self.reach(lambda: not target.is_alive(), lambda: "did not end it")
        self.tidy(target)

    def tidy(self, target: Target) -> None:
        with suppress(Exception):
            if target.is_alive() and target.supports("kill"):
                target.kill()
