"""`Pid`: the identity of a process, and all that others may do with it."""

from __future__ import annotations

from typing import Any

from supertester.errors import Unsupported
from supertester.otp.reasons import INFINITY, NORMAL

__all__ = ["Pid"]


class Pid:
    """A process: opaque, hashable, unique in its runtime for ever, compared by identity (rule 1).

    A restarted child has a new pid. The exit reason stays readable for ever after death. This class is the interface;
    `supertester.otp` hands out its own subclass, other runtimes (an OS process, say) theirs.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     pid = await Agent.start_link(0)
    ...     await pid.stop()
    ...     return pid.is_alive(), pid.exit_reason
    >>> asyncio.run(main())
    (False, NORMAL)
    """

    __slots__ = ("__weakref__", "exit_reason", "id", "name")

    id: int
    """A number that is never used twice in one runtime."""
    name: Any
    """The registered name, also after death, or ``None``."""
    exit_reason: Any
    """``None`` while the process is alive, then its exit reason for ever."""

    def is_alive(self) -> bool:
        """Say whether the process has not ended."""
        return self.exit_reason is None

    async def call(self, request: Any, timeout: float = 5.0) -> Any:
        """Send *request* and wait for the reply, at most *timeout* seconds.

        Raises:
            CallExit: The process is dead, dies before it replies, or does not reply in time.
        """
        raise Unsupported(f"{self!r} answers no calls")

    def call_threadsafe(self, request: Any, timeout: float = 5.0) -> Any:
        """Do the same from another thread, blocking it."""
        raise Unsupported(f"{self!r} answers no calls from other threads")

    def cast(self, message: Any) -> None:
        """Send *message* to ``handle_cast`` and go on; never fails (rule 4). Safe from any thread."""
        raise Unsupported(f"{self!r} takes no casts")

    def send(self, message: Any) -> None:
        """Send *message* to ``handle_info``; nothing happens if the process is dead. Safe from any thread."""
        raise Unsupported(f"{self!r} takes no messages")

    def exit(self, reason: Any) -> None:
        """Send an exit signal (rule 5); ``KILL`` cannot be resisted."""
        raise Unsupported(f"{self!r} takes no exit signals")

    async def stop(self, reason: Any = NORMAL, timeout: float = INFINITY) -> None:
        """Let the process run ``terminate(reason)`` and end, and wait for that (rule 18).

        Raises:
            CallExit: It was dead before (``NOPROC``), ended with another reason, or not in time (``TIMEOUT``).
        """
        raise Unsupported(f"{self!r} cannot be stopped")
