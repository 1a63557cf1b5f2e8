"""The looks at a program that is to become ready: what they saw, and when the next one is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from supertester.targets.readiness import Answer, Readiness

if TYPE_CHECKING:
    from supertester.targets.external import ExternalProcess

__all__ = ["Looks"]

_PART: Final = 0.25
"""How long nobody asks again after an answer, as a part of the time that has passed."""
_LONGEST: Final = 0.5
"""The same in seconds, at most."""


class Looks:
    """Looks by *ready*, after an answer less and less often.

    A server writes a line for each request, and others that tell why it is not ready would be lost among them.
    """

    def __init__(self, ready: Readiness, now: Callable[[], float]) -> None:
        self._ready = ready
        self._now = now
        self._began = now()
        self._due = 0.0
        self._answer = ""
        self._silence = ""

    async def look(self, process: ExternalProcess, *, at_once: bool) -> bool:
        """Say whether *process* is ready; without *at_once* it is not looked at before the next look is due."""
        if not at_once and self._now() < self._due:
            return False
        began = self._now()
        try:
            found = await self._ready.look(process)
        except asyncio.CancelledError:
            silent = self._now() - began
            # A look just before the deadline, or after it, has had no time for an answer.
            if not at_once and (silent > _LONGEST or not self._answer):
                self._silence = f"the last look has had no answer for {silent:.2g} s"
            raise
        if found:
            return True
        if isinstance(found, Answer) and found.is_heard:
            now = self._now()
            self._due = now + min((now - self._began) * _PART, _LONGEST)
        self._answer = "" if found is None or found is False else str(found)
        return False

    def seen(self) -> str:
        """Return what the last look saw of a program that runs, if it saw anything."""
        return "; ".join(filter(None, ["it runs", self._answer, self._silence]))
