"""Pids that travel: what a pid is in another process of the operating system, and how it comes back as itself.

A pid pickles to a *reference*: the place where it lives and a number there. Unpickled at that place it is the very pid
again, and anywhere else a `PidElsewhere`. Who connects two places enters the way from one to the other in `routes`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Any, Final
from weakref import WeakValueDictionary

from supertester.errors import Unsupported
from supertester.otp.pid import Pid
from supertester.otp.reasons import NOPROC

__all__ = ["PidElsewhere", "Reference", "export", "place", "reference", "routes"]

Reference = tuple[str, int, str]
"""Where a process lives, its number there, and what it is called."""

routes: Final[dict[str, Callable[[PidElsewhere, str, Any], object]]] = {}
"""By place: what brings a message there, told for whom it is, whether it is a ``"cast"`` or a ``"send"``, and what."""

_known: Final[WeakValueDictionary[tuple[str, int], Pid]] = WeakValueDictionary()
_places: Final[dict[int, str]] = {}
_next_number: Final = count(1).__next__


def place() -> str:
    """Return what this process of the operating system is called; a fork of it is another place."""
    number = os.getpid()
    return _places.get(number) or _places.setdefault(number, f"{number}-{os.urandom(6).hex()}")


def export(pid: Any) -> tuple[Any, ...]:
    """Return what *pid* pickles to."""
    if pid.exported_as is None:
        meet(pid, (place(), _next_number(), repr(pid)))
    return reference, pid.exported_as


def meet(pid: Any, known_as: Reference) -> None:
    """Let *pid* be what the reference *known_as* means here."""
    pid.exported_as = known_as
    _known[known_as[:2]] = pid


def reference(at: str, number: int, label: str) -> Pid:
    """Return the pid that a reference means here."""
    pid = _known.get((at, number))
    if pid is None:
        pid = PidElsewhere((at, number, label))
        if at == place():
            pid.exit_reason = NOPROC  # Nobody remembers it, so it is dead.
        _known[at, number] = pid
    return pid


class PidElsewhere(Pid):
    """A process that lives in another process of the operating system. It can be compared, and sent to.

    `cast` and `send` work where the two are connected, as a server started by ``start_os_server`` is with whoever
    started it. All else raises `Unsupported`.
    """

    __slots__ = ("exported_as",)

    def __init__(self, known_as: Reference) -> None:
        self.exported_as = known_as
        self.id = known_as[1]
        self.name = None
        self.exit_reason = None

    def cast(self, message: Any) -> None:
        self._route("cast", message)

    def send(self, message: Any) -> None:
        self._route("send", message)

    def is_alive(self) -> bool:
        if self.exit_reason is None:
            raise self._unsupported("is_alive()")
        return False

    def _route(self, kind: str, message: Any) -> None:
        if self.exit_reason is None:
            route = routes.get(self.exported_as[0])
            if route is None:
                raise self._unsupported(f"{kind}()")
            route(self, kind, message)

    def _unsupported(self, what: str) -> Unsupported:
        return Unsupported(
            f"{what}: {self!r} lives in another process of the operating system, from where it can only be compared "
            "and, by whoever is connected with it, sent to with cast() and send()"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._unsupported(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return reference, self.exported_as

    def __repr__(self) -> str:
        return f"{self.exported_as[2][:-1]} elsewhere>"
