"""A process of the operating system crashes: by a real signal, with evidence of whom it has hit and how that ended."""

from __future__ import annotations

import asyncio
import signal as signals
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from supertester._core.evidence import shown
from supertester.chaos.crash import Injection
from supertester.chaos.os_signals import frozen_family, is_lethal, spare_core
from supertester.errors import WaitTimeout
from supertester.targets.os_process import ProcessTarget

__all__ = ["ProcessInjection"]


_DYING: Final = 5.0
"""Seconds that a process may take to be gone that was hit by what kills for certain."""


@dataclass(eq=False, repr=False)
class ProcessInjection(Injection):
    """The crash of a process of the operating system; see `inject_crash`.

    Attributes:
        tree: Whether all that the target has started was to be hit, too.
        victims: Whom the signal was delivered to.
    """

    tree: bool = False
    victims: tuple[ProcessTarget, ...] = ()
    _lethal: bool = False

    @property
    def pid(self) -> int:
        """The number of the target."""
        return int(self.target.pid)

    @property
    def generation(self) -> int:
        """When the target began; with the number it says which process it is, also when the number is used again."""
        return int(self.target.identity.generation)

    @property
    def died(self) -> bool:
        """Whether all that were hit have ended; one that handles the signal may go on."""
        return self.fired and not any(each.is_alive() for each in self.victims)

    def _deliver(self) -> None:
        target: ProcessTarget = self.target
        hears = self.tree or target.state != "stopped" or self.signal == signals.SIGKILL
        aims = frozen_family(target) if self.tree else [target]
        # Who is stopped gets the others only when he goes on.
        self._lethal = hears and all(is_lethal(each, self.signal) for each in aims)
        self.victims = tuple(each for each in aims if each.is_alive())
        for each in self.victims:
            spare_core(each)
            each.kill(self.signal)
        if self.tree:
            for each in self.victims:
                each.kill(signals.SIGCONT)
        self.fired = bool(self.victims)
        if self.fired:
            self._note("crash", target, {"signal": self.signal.name, "pids": [each.pid for each in self.victims]})

    async def _wait(self) -> Self:
        await super()._wait()
        return await self.wait_for_end(_DYING) if self._lethal else self

    async def wait_for_end(self, timeout: float = 5.0) -> Self:
        """Give all that were hit so many seconds to end; `died` then tells whether they have."""
        with suppress(WaitTimeout, TimeoutError):
            async with asyncio.timeout(timeout):
                for each in self.victims:
                    await each.wait(timeout)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form of how it stands now."""
        victims = [
            {"pid": each.pid, "generation": each.identity.generation, "exit_reason": each.exit_reason}
            for each in self.victims
        ]
        return {**super().to_dict(), "signal": self.signal.name, "victims": victims, "target": shown(self.target)}
