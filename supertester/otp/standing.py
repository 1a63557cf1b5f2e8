"""Who waits for whose reply: what tasks and processes wait for, as far as the runtime knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from supertester._core.awaits import frames_of
from supertester._core.evidence import shown
from supertester._core.standing import MESSAGE, Reply, Standing
from supertester.otp.messages import Call

if TYPE_CHECKING:
    from supertester.otp.process import Process

__all__ = ["standing_of"]

_CALLING: Final = ("supertester.otp.mailbox", "supertester.otp.explored")
"""The modules in which a call waits for its reply."""


def standing_of(task: asyncio.Task[Any]) -> Standing:
    """Return what is known of *task* beyond what asyncio knows."""
    process: Process | None = getattr(task, "supertester_pid", None)
    if process is None:
        return Standing(None, task.get_coro(), _called_in(task.get_coro()))
    if process.steps is None:
        return Standing(f"process {process!r}", task.get_coro(), MESSAGE)
    return Standing(f"process {process!r}", process.steps, _called_in(process.steps))


def _called_in(steps: Any) -> Reply | None:
    """Return the reply that the coroutine *steps* waits for, or ``None``."""
    for _, frame in frames_of(steps):
        if frame.f_globals.get("__name__") in _CALLING:
            slot = frame.f_locals.get("slot")
            if isinstance(slot, Call):
                return Reply(slot.process, shown(slot.request))
    return None
