"""Exit reasons: why a process ended, or should end (rule 2).

The named reasons are strings, as Elixir's atoms are: they compare by value, so they survive pickling and another
process, and ``reason == "normal"`` reads as it should. Any other object may serve as a reason too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

from supertester.errors import UsageError

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "KILL",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "TIMEOUT",
    "Crash",
    "Reason",
    "Shutdown",
    "checked_reason",
    "is_crash",
    "is_normal",
    "is_reason",
]


@final
class Reason(str):
    """A named reason: a string whose ``repr`` is the name of its constant."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self.upper()

    def __reduce__(self) -> tuple[Any, ...]:
        return Reason, (str(self),)


NORMAL: Final = Reason("normal")
"""The process did its work and ended."""
SHUTDOWN: Final = Reason("shutdown")
"""The process was asked to end, by its supervisor as a rule."""
KILL: Final = Reason("kill")
"""As the reason of `exit`: end the target, whatever it traps. Its links and monitors then see `KILLED`."""
KILLED: Final = Reason("killed")
"""The process was killed."""
NOPROC: Final = Reason("noproc")
"""There is no such process."""
TIMEOUT: Final = Reason("timeout")
"""No answer came in time; also the message that `handle_info` gets when a ``timeout=`` result runs out."""
BRUTAL_KILL: Final = Reason("brutal_kill")
"""As a child's ``shutdown``: kill it at once."""
INFINITY: Final = math.inf
"""As a timeout: wait for ever."""


@final
@dataclass(frozen=True, slots=True)
class Shutdown:
    """An orderly end that carries a term, OTP's ``{shutdown, Term}``; as normal as `SHUTDOWN`."""

    term: Any


@final
class Crash:
    """A process ended because *exception* left one of its callbacks; the traceback is kept.

    Two crashes are equal when their exceptions have the same type and arguments, so equality survives pickling.
    """

    __slots__ = ("exception",)

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Crash):
            return NotImplemented
        mine, theirs = self.exception, other.exception
        return mine is theirs or (type(mine) is type(theirs) and mine.args == theirs.args)

    def __hash__(self) -> int:
        return hash((Crash, type(self.exception)))

    def __repr__(self) -> str:
        try:
            return f"Crash({self.exception!r})"
        except Exception:  # noqa: BLE001  # A repr that fails must not spoil every message that shows the reason.
            return f"Crash(<{type(self.exception).__name__} whose repr failed>)"


def is_reason(reason: Any, wanted: Any) -> bool:
    """Say whether *reason* is *wanted*, also where ``==`` gives no truth value, as for arrays."""
    if reason is wanted:
        return True
    try:
        return bool(reason == wanted)
    except Exception:  # noqa: BLE001  # Whatever a foreign `==` does.
        return False


def checked_reason(reason: Any) -> Any:
    """Return *reason*; refuse ``None``, which as an exit reason means "alive"."""
    if reason is None:
        raise UsageError(
            "an exit reason cannot be None, which means that a process is alive; give NORMAL or another value"
        )
    return reason


def is_normal(reason: Any) -> bool:
    """Say whether *reason* is an orderly end: ``NORMAL``, ``SHUTDOWN`` or ``Shutdown(...)``.

    >>> is_normal(Shutdown("upgrade")), is_normal(KILLED)
    (True, False)
    """
    return isinstance(reason, Shutdown) or (isinstance(reason, str) and reason in (NORMAL, SHUTDOWN))


def is_crash(reason: Any) -> bool:
    """Say whether *reason* is anything but an orderly end."""
    return not is_normal(reason)
