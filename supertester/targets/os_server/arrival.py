"""What the process of a server is given when it is started, and how descriptors come there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supertester.otp.elsewhere import Reference

__all__ = ["Arrival", "Handed"]


class Handed:
    """A descriptor that the new process gets its own number of: what arrives is that.

    A `Connection` would do as well; but what its module imports takes the system longer to clear away, when the process
    dies, than all that this package does.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.reduction import DupFd  # Which not every system has.

        return _arrived, (DupFd(self._descriptor),)


def _arrived(copy: Any) -> int:
    descriptor: int = copy.detach()
    return descriptor


@dataclass(frozen=True)
class Arrival:
    """What the new process is given; each descriptor is the other process's, handed over.

    Attributes:
        requests: That from which it reads.
        answers: That to which it writes.
        counters: That of the memory which both see.
        parent_pid: Of the operating system.
        known_as: The reference of the server's pid.
        environment: Variables by which its own children are known.
        what: Class, arguments, keyword arguments, name and parent of the server, pickled.
    """

    requests: Any
    answers: Any
    counters: Any
    parent_pid: int
    known_as: Reference
    environment: dict[str, str]
    what: bytes
