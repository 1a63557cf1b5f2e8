"""Actors of pykka as targets."""

from __future__ import annotations

import threading
from typing import Any

from supertester.errors import UsageError
from supertester.otp.reasons import NORMAL, Crash
from supertester.targets.target import Identity
from supertester.targets.threads import QueueThreadTarget

__all__ = ["PykkaTarget"]


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
        self._failure: BaseException | None = None
        self._note_failure(actor)

    def _note_failure(self, actor: Any) -> None:
        handle = actor._handle_failure

        def note(kind: Any, error: Any, trace: Any) -> None:
            self._failure = error
            handle(kind, error, trace)

        actor._handle_failure = note  # Pykka logs the exception, and tells nobody.

    def _ask_to_stop(self) -> None:
        self.ref.stop(block=False)

    @property
    def exit_reason(self) -> Any:
        """`NORMAL`, or a `Crash`."""
        if self.thread.is_alive():
            return None
        return NORMAL if self._failure is None else Crash(self._failure)


def _runs(thread: Any, actor: Any) -> bool:
    target = getattr(thread, "_target", None)
    return actor is not None and getattr(target, "__self__", None) is actor


def _rest(identity: Identity) -> tuple[int | None, int]:
    return identity.pid, identity.generation
