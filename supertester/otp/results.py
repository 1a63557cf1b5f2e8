"""What the callbacks of a `GenServer` may return besides a plain value (rule 11)."""

from __future__ import annotations

from types import CoroutineType
from typing import Any, Final, final

from supertester.errors import UsageError
from supertester.otp.reasons import checked_reason

__all__ = ["IGNORE", "NOREPLY", "NOTHING", "SPECIAL", "Continue", "Ignore", "NoReply", "Reply", "Stop"]


class _Nothing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()
"""Stands for an argument that was not given where ``None`` is a value like any other."""


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not timeout >= 0:
        raise UsageError(f"timeout must be 0 or more seconds, or None for no timeout; got timeout={timeout!r}")
    return timeout


@final
class Reply:
    """Answer the call with *value*; in ``init``: start with *value* as the state.

    Args:
        value: The reply.
        timeout: Seconds after which ``handle_info(TIMEOUT)`` runs if no message comes first.
        continue_: If given, ``handle_continue(continue_)`` runs before any other message.
    """

    __slots__ = ("continue_", "timeout", "value")

    def __init__(self, value: Any, timeout: float | None = None, continue_: Any = NOTHING) -> None:
        self.value = value
        self.timeout = _checked(timeout)
        self.continue_ = continue_


@final
class NoReply:
    """Do not answer now; ``sender.reply(value)`` does it later, or nobody does. For casts and other messages: go on."""

    __slots__ = ("continue_", "timeout")

    def __init__(self, timeout: float | None = None, continue_: Any = NOTHING) -> None:
        self.timeout = _checked(timeout)
        self.continue_ = continue_

    def __repr__(self) -> str:
        return "NOREPLY" if self is NOREPLY else f"NoReply(timeout={self.timeout!r}, continue_={self.continue_!r})"


NOREPLY: Final = NoReply()


@final
class Stop:
    """End the server with *reason*: ``terminate(reason)`` runs, then *reply*, if given, is sent, then it is dead."""

    __slots__ = ("reason", "reply")

    def __init__(self, reason: Any, reply: Any = NOTHING) -> None:
        self.reason = checked_reason(reason)
        self.reply = reply


@final
class Continue:
    """Run ``handle_continue(arg)`` before any other message, without a reply; in ``init`` with *state* as the state.

    A *timeout* runs unless the result of `handle_continue` sets another.
    """

    __slots__ = ("arg", "state", "timeout")

    def __init__(self, arg: Any, state: Any = NOTHING, timeout: float | None = None) -> None:
        self.arg = arg
        self.state = state
        self.timeout = _checked(timeout)


@final
class Ignore:
    """The class of `IGNORE`: ``init`` decided that the process should not run."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "IGNORE"

    def __reduce__(self) -> str:
        return "IGNORE"


IGNORE: Final = Ignore()

SPECIAL: Final = frozenset({Reply, NoReply, Stop, Continue, CoroutineType})
"""The classes of results that are more than a plain reply."""
