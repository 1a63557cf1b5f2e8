"""`Target`: what helpers, assertions and chaos need to know of a system, whatever it is made of.

A target is one life of something: a process, a task, a thread, an actor. It begins alive, ends once, and its exit
reason is known for ever; what is started in its place is another target with another `Identity`.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from supertester._core.waiting import Bell, wait_until
from supertester.context import current_context
from supertester.errors import Unsupported, WaitTimeout
from supertester.otp.reasons import KILL
from supertester.otp.refs import Foreign

__all__ = ["Identity", "Target", "serial_of"]

_WHILE_POLLING: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a target is: equal only for the same life, because numbers of processes are used again.

    Attributes:
        id: What it is called; its successor may have the same.
        pid: The operating system's number of the process that it is or lives in; ``None`` if that is not known.
        generation: Greater in a successor than in who had the same id before.
    """

    id: str
    pid: int | None
    generation: int

    def __str__(self) -> str:
        process = "" if self.pid is None else f"pid {self.pid}, "
        return f"{self.id} ({process}generation {self.generation})"


class Target(Foreign, ABC):
    """One life of something that can be watched, ended, held up or asked for its workers.

    An adapter has an `identity` and an `exit_reason`, and as much of the rest as its system is able to do. What it
    leaves out raises `Unsupported`, with what `lacks` says about it as the reason. `check_target_contract` says whether
    an adapter keeps the promises made here.

    >>> class Lamp(Target):
    ...     exit_reason = None
    ...     identity = Identity("lamp", None, 1)
    ...     def kill(self, reason=KILL):
    ...         self.exit_reason = "killed"
    >>> lamp = Lamp()
    >>> lamp.kill()
    >>> lamp
    <Lamp lamp (generation 1), ended with 'killed'>
    """

    lacks: ClassVar[Mapping[str, str]] = {}
    """For a capability that the system cannot have, the name of the method and why not."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Who it is; the same before and after its end."""

    @property
    @abstractmethod
    def exit_reason(self) -> Any:
        """``None`` while it is alive, then why it ended, for ever."""

    def is_alive(self) -> bool:
        """Say whether it has not ended; one that is suspended, or hangs, has not."""
        return self.exit_reason is None

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"`` if suspended, ``"gone"``, or ``"zombie"``: its parent has not waited for it."""
        return "running" if self.is_alive() else "gone"

    # Its end ---------------------------------------------------------------------------------------------------------

    def on_exit(self, callback: Callable[[Any], object]) -> Callable[[], object]:
        """Call ``callback(target)`` once, in the running event loop, when it has ended, soon if it has.

        Returns:
            A function that forgets the callback.
        """

        async def watch() -> None:
            await wait_until(lambda: not self.is_alive(), f"the end of {self!r}", timeout=_WHILE_POLLING)
            callback(self)

        watching = asyncio.ensure_future(watch())
        if (context := current_context.get()) is not None and not context.closed:
            context.add_cleanup(watching.cancel)
        return watching.cancel

    async def wait(self, timeout: float = 5.0) -> Any:
        """Wait until it has ended, and return its exit reason.

        Args:
            timeout: Seconds; 0 looks once.

        Raises:
            WaitTimeout: It is alive.
        """
        if not self.is_alive():
            return self.exit_reason
        bell = Bell()
        has_event = type(self).on_exit is not Target.on_exit
        forget = self.on_exit(bell.ring) if has_event else list
        try:
            await wait_until(
                lambda: not self.is_alive(),
                f"the end of {self!r}",
                timeout=timeout,
                seen=lambda: f"it is {self.state}",
                bell=bell,
            )
        finally:
            forget()
        return self.exit_reason

    def kill(self, reason: Any = KILL) -> None:
        """Begin to end it, and do not wait for that; nothing happens if it has ended.

        Args:
            reason: `KILL`, which it cannot resist; what else there is, is up to the system: the number of a signal for
                a process of the operating system, any exit reason for a server of `supertester.otp`.

        Raises:
            UsageError: The system knows no such reason.
        """
        raise self.unsupported("kill")

    async def stop(self, timeout: float = 5.0) -> Any:
        """Ask it to end in good order, wait for that, and return its exit reason; it may have ended before.

        Raises:
            WaitTimeout: It has not ended in so many seconds. Nothing else is done to it.
        """
        raise self.unsupported("stop")

    # Holding it up ---------------------------------------------------------------------------------------------------

    async def suspend(self) -> None:
        """Let it stand still, as if it hung: alive, but doing nothing."""
        raise self.unsupported("suspend")

    async def resume(self) -> None:
        """Let it go on; nothing happens if it does not stand still."""
        raise self.unsupported("resume")

    # What it has to do -----------------------------------------------------------------------------------------------

    def queue_len(self) -> int:
        """Return how much it has been given to do and has not begun."""
        raise self.unsupported("queue_len")

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until it has done all that it was given before.

        Raises:
            WaitTimeout: It has not, in so many seconds.
        """
        raise self.unsupported("sync")

    # What it is made of ----------------------------------------------------------------------------------------------

    def workers(self) -> Sequence[Target]:
        """Return what works for it now and is alive, the oldest first."""
        raise self.unsupported("workers")

    def roll_call(self) -> Sequence[tuple[Identity, str]]:
        """Return its workers with their states, those that have ended and are not forgotten included."""
        return [(worker.identity, worker.state) for worker in self.workers()]

    # For adapters ----------------------------------------------------------------------------------------------------

    def supports(self, capability: str) -> bool:
        """Say whether it has a *capability*, by the name of its method; without it that raises `Unsupported`."""
        is_made = getattr(type(self), capability) is not getattr(Target, capability)
        return is_made and capability not in self.lacks

    def check_reason(self, reason: Any) -> None:
        """Raise `UsageError` if `kill` knows no such *reason*; all are known to the base class."""

    def unsupported(self, capability: str) -> Unsupported:
        """Return the error to raise for a *capability* that it does not have."""
        reason = self.lacks.get(capability, f"{type(self).__name__} has no way to do that")
        return Unsupported(f"{self!r} does not support {capability}(): {reason}")

    async def ended(self, timeout: float, asked: str) -> Any:
        """Wait for the end of it after it was *asked* to end, for `stop`."""
        try:
            return await self.wait(timeout)
        except WaitTimeout:
            raise WaitTimeout(f"{self!r} has not ended within {timeout:g} s after {asked}") from None

    def __repr__(self) -> str:
        fate = self.state if self.is_alive() else f"ended with {self.exit_reason!r}"
        return f"<{type(self).__name__} {self.identity}, {fate}>"


_serials: dict[int, tuple[weakref.ref[Any], int]] = {}
_numbers = itertools.count(1)


def serial_of(thing: Any) -> int:
    """Return the number that *thing* has for as long as it exists, and nothing else ever has: a generation."""
    key = id(thing)  # It may be equal to others, or have no hash.
    known = _serials.get(key)
    if known is not None and known[0]() is thing:
        return known[1]
    try:
        reference = weakref.ref(thing, lambda _: _serials.pop(key, None))
    except TypeError:  # Of a class that allows no such references.
        return key
    _serials[key] = reference, next(_numbers)
    return _serials[key][1]
