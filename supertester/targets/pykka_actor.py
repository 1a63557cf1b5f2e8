"""Actors of pykka as targets."""

from __future__ import annotations

import threading
from typing import Any, Final

from supertester.errors import UsageError
from supertester.otp.reasons import NORMAL, Crash
from supertester.targets.target import Identity
from supertester.targets.threads import QueueThreadTarget

__all__ = ["PykkaTarget"]

_FAILURE: Final = "_supertester_failure"
"""The attribute of a thread that has the exception by which its actor ended."""


class PykkaTarget(QueueThreadTarget):
    """An actor of pykka: a thread with an inbox.

    It is alive as long as its thread is, which ``ref.is_alive()`` does not tell. Its exit reason is a `Crash` if an
    exception has ended it, otherwise `NORMAL`.

    Args:
        ref: Its reference, or a proxy of it.

    Raises:
        UsageError: It has ended.
    """

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        **QueueThreadTarget.lacks,
        "kill": "an actor is a thread, and Python has no way to end one from outside; tell() it what makes it raise",
    }

    def __init__(self, ref: Any) -> None:
        self.ref = getattr(ref, "actor_ref", ref)
        actor = self.ref._actor_weakref()
        thread = next((each for each in threading.enumerate() if _runs(each, actor)), None)
        if thread is None:
            raise UsageError(f"{self.ref} has ended", reason="noproc")
        super().__init__(thread, self.ref.actor_inbox, stop=self._ask_to_stop)
        self._identity = Identity(f"{self.ref.actor_class.__name__} {self.ref.actor_urn}", *_rest(self._identity))
        if not hasattr(thread, _FAILURE):
            _note_failure(actor, thread)

    def _ask_to_stop(self) -> None:
        self.ref.stop(block=False)

    @property
    def exit_reason(self) -> Any:
        """`NORMAL`, or a `Crash`."""
        if self.thread.is_alive():
            return None
        failure = getattr(self.thread, _FAILURE)
        return NORMAL if failure is None else Crash(failure)


def _note_failure(actor: Any, thread: threading.Thread) -> None:
    """See to it that *thread* has the exception that ends *actor*: pykka logs it, and tells nobody."""
    handle = actor._handle_failure

    def note(kind: Any, error: Any, trace: Any) -> None:
        setattr(thread, _FAILURE, error)
        handle(kind, error, trace)

    setattr(thread, _FAILURE, None)
    actor._handle_failure = note


def _runs(thread: Any, actor: Any) -> bool:
    target = getattr(thread, "_target", None)
    return actor is not None and getattr(target, "__self__", None) is actor


def _rest(identity: Identity) -> tuple[int | None, int]:
    return identity.pid, identity.generation
