"""What is no server of the runtime stands still, and goes on whatever happens to who stopped it."""

from __future__ import annotations

import signal
from typing import Any

from supertester._core.evidence import shown
from supertester.chaos.journal import note
from supertester.chaos.os_signals import frozen_family
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported
from supertester.targets.os_process import ProcessTarget
from supertester.targets.reaper import reaper
from supertester.targets.target import Target

__all__ = ["PausedTarget", "go_on"]


class PausedTarget(Undoable):
    """A target that stands still, as if it hung: the connections of a process stay open, and nobody answers.

    Attributes:
        target: Which one.
        stopped: Who stands still because of this: the target, and what a process had started if its tree was meant.
    """

    _name = "chaos.pause"

    def __init__(self, target: Target, *, tree: bool) -> None:
        if not target.supports("suspend"):
            raise target.unsupported("suspend")
        if tree and not isinstance(target, ProcessTarget):
            raise Unsupported(f"pause: {target!r} has no tree of processes")
        self.target = target
        self.stopped: tuple[Target, ...] = ()
        self._tree = tree

    @property
    def active(self) -> bool:
        """Whether the target stands still because of this."""
        return self.target in self.stopped and self.target.state == "stopped"

    async def _do(self) -> None:
        if self.target.state == "stopped":  # By another, who is to let it go on.
            return
        _tell_reaper(self.target)
        if self._tree and isinstance(self.target, ProcessTarget):
            self.stopped = tuple(frozen_family(self.target))
        else:
            self.stopped = (self.target,)
        for each in self.stopped:  # What is in the middle of something in the kernel stops when that is over.
            _tell_reaper(each)
            await each.suspend()
        if self.active:
            note("pause", self.target, [str(each.identity) for each in self.stopped])

    async def _undo(self) -> None:
        for each in reversed(self.stopped):  # The parent last: it must not take a child for one that hangs.
            await go_on(each)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        stopped = [str(each.identity) for each in self.stopped]
        return {"target": shown(self.target), "active": self.active, "stopped": stopped}

    def __repr__(self) -> str:
        return f"<{self.target!r} {'paused' if self.active else 'not paused'}>"


def _tell_reaper(target: Target) -> None:
    if isinstance(target, ProcessTarget):
        reaper.stopped(target.pid, target.started)


async def go_on(target: Target) -> None:
    """Let *target* go on if it stands still."""
    if isinstance(target, ProcessTarget):
        target.kill(signal.SIGCONT)
        reaper.resumed(target.pid, target.started)
    elif target.is_alive():
        await target.resume()
