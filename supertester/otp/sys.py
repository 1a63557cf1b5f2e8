"""The system messages that every server answers without knowing it (rule 19): look at it, halt it, trace it.

They go through the mailbox like everything else, so an answer proves that all earlier messages are done. A busy server
answers when its handler is done; until then these functions wait, at most *timeout* seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from supertester._core.clock import checked_timeout
from supertester.errors import CallExit
from supertester.otp.drive import PAUSE
from supertester.otp.messages import PENDING, Barrier, Failure, System, SystemEvent
from supertester.otp.process import Process
from supertester.otp.reasons import NOPROC
from supertester.otp.refs import resolve
from supertester.otp.runtime import check_doomed, current

__all__ = [
    "Statistics",
    "get_state",
    "get_status",
    "replace_state",
    "resume",
    "statistics",
    "suspend",
    "sync",
    "trace",
]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Counts of a server; each can also be read as ``statistics["field"]``."""

    messages_in: int
    message_queue_len: int
    reductions: int
    late_replies: int

    def __getitem__(self, field: str) -> Any:
        try:
            return getattr(self, field)
        except AttributeError:
            raise KeyError(field) from None

    def to_dict(self) -> dict[str, int]:
        """Return the JSON-ready form."""
        return vars(self).copy()


async def ask(target: Any, what: str, operation: Callable[[Process], Any], timeout: float) -> Any:
    """Let *target* run ``operation(process)``, plain or async, between two messages, and return the result.

    All of this module can be pickled, so that it reaches a server in a process of its own as well.
    """
    call = (what, target, None, checked_timeout(timeout))
    process = resolve(target)
    if process is None or process.exit_reason is not None:
        raise CallExit(NOPROC, call)
    if current.get() is process and process.runs_here():
        raise CallExit("calling_self", call)
    check_doomed()
    slot = (Barrier if what == "sync" else System).to(process, operation)
    process.deliver(slot)
    await PAUSE
    value = slot.value
    if value is PENDING:
        value = await process.answer(slot, timeout)
    if value.__class__ is Failure:
        raise CallExit(value.reason, call)
    return value


def _state(process: Process) -> Any:
    assert process.server is not None
    return process.server.state


async def get_state(target: Any, timeout: float = 5.0) -> Any:
    """Return the server's state itself, no copy.

    Raises:
        CallExit: The server is dead or unknown (``NOPROC``), or too busy (``TIMEOUT``).
    """
    return await ask(target, "get_state", _state, timeout)


async def replace_state(target: Any, fn: Callable[[Any], Any], timeout: float = 5.0) -> Any:
    """Make ``fn(state)`` the server's state and return it. If *fn* raises, the state stays; `CallExit` says why."""
    return await ask(target, "replace_state", partial(_replace_state, fn), timeout)


def _replace_state(fn: Callable[[Any], Any], process: Process) -> Any:
    assert process.server is not None
    process.server.state = fn(process.server.state)
    return process.server.state


async def get_status(target: Any, timeout: float = 5.0) -> dict[str, Any]:
    """Return a dict with ``pid module status parent state name``, as `GenServer.format_status` leaves it."""
    result: dict[str, Any] = await ask(target, "get_status", _status, timeout)
    return result


def _status(process: Process) -> dict[str, Any]:
    assert process.server is not None
    return process.server.format_status(
        {
            "pid": process,
            "module": process.initial_call,
            "status": "suspended" if process.suspended else "running",
            "parent": process.parent,
            "name": process.name,
            "state": process.server.state,
        }
    )


async def suspend(target: Any, timeout: float = 5.0) -> None:
    """Halt the server: messages queue up and calls time out until `resume`. System messages are still answered."""
    await ask(target, "suspend", partial(_set_suspended, on=True), timeout)


async def resume(target: Any, timeout: float = 5.0) -> None:
    """Let a suspended server go on."""
    await ask(target, "resume", partial(_set_suspended, on=False), timeout)


def _set_suspended(process: Process, *, on: bool) -> None:
    process.suspended = on
    process.heed()


async def sync(target: Any, timeout: float = 5.0) -> None:
    """Wait until the server has handled every message that was in its mailbox: a barrier that no handler sees.

    The one system message that waits in line: a suspended server answers it after `resume`.
    """
    await ask(target, "sync", nothing, timeout)


def nothing(_: Process) -> None:
    """Be the request whose answer alone counts."""


async def trace(target: Any, fn: Callable[[SystemEvent], object] | None, timeout: float = 5.0) -> None:
    """Call ``fn(event)`` for every message the server handles and every reply it gives; ``None`` ends the tracing.

    If *fn* raises, the loop's exception handler is told and the tracing ends; the server is not disturbed.
    """
    await ask(target, "trace", partial(set_tracer, fn), timeout)


def set_tracer(fn: Callable[[SystemEvent], object] | None, process: Process) -> None:
    """Let *fn* hear of what *process* handles and replies."""
    process.tracer = fn
    process.heed()


async def statistics(target: Any, timeout: float = 5.0) -> Statistics:
    """Return the server's counts of messages, handled and waiting, and of late replies."""
    return await ask(target, "statistics", count, timeout)  # type: ignore[no-any-return]


def count(process: Process) -> Statistics:
    """Return the counts of *process* as they are now."""
    waiting = sum(not isinstance(entry, System) for entry in list(process.queue))
    return Statistics(
        messages_in=process.handled + waiting,
        message_queue_len=waiting,
        reductions=process.handled,
        late_replies=process.late_replies,
    )
