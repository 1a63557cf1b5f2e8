"""Messages and signals: calls, casts, exits, links, monitors, timers (chapters 1 and 2 of the rules).

`link`, `unlink`, `monitor`, `demonitor`, `self_pid` and `flag_trap_exit` act for the process whose handler runs; in a
test of an ``IsolatedTestCase`` that is the test's root process. All are synchronous: they have happened when they
return.
"""

from __future__ import annotations

from typing import Any

from supertester._core.clock import TimerHandle, checked_timeout
from supertester.errors import CallExit, UsageError
from supertester.otp.messages import Down, Exit, Info, Ref
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY, NOPROC, NORMAL
from supertester.otp.refs import resolve
from supertester.otp.runtime import acting_process, check_doomed, current_runtime

__all__ = [
    "call",
    "cast",
    "demonitor",
    "exit",
    "flag_trap_exit",
    "link",
    "monitor",
    "self_pid",
    "send",
    "send_after",
    "stop",
    "unlink",
]


async def call(target: Any, request: Any, timeout: float = 5.0) -> Any:
    """Send *request* to the server *target* and return its reply.

    Args:
        target: Any reference.
        request: What ``handle_call`` gets.
        timeout: Seconds to wait for the reply; `INFINITY` for ever.

    Raises:
        CallExit: The target is unknown or dead (``NOPROC``), is the caller itself (``"calling_self"``), died before it
            replied (its exit reason), or did not reply in time (``TIMEOUT``).
    """
    process = resolve(target)
    if process is None:
        raise CallExit(NOPROC, ("call", target, request, checked_timeout(timeout)))
    return await process.call(request, timeout)


def cast(target: Any, message: Any) -> None:
    """Send *message* to the ``handle_cast`` of *target* and go on. A dead or unknown target is no error (rule 4)."""
    process = resolve(target)
    if process is not None:
        process.cast(message)


def send(target: Any, message: Any) -> None:
    """Send *message* to the ``handle_info`` of *target*; a dead process is no error (rule 4).

    Raises:
        LookupError: *target* is a name that nobody has.
    """
    process = resolve(target)
    if process is None:
        raise LookupError(f"no process is registered as {target!r}")
    process.send(message)


async def stop(target: Any, reason: Any = NORMAL, timeout: float = INFINITY) -> None:
    """Let *target* run ``terminate(reason)`` and end, and wait for that (rule 18).

    Raises:
        CallExit: It was dead before or unknown (``NOPROC``), ended with another reason, or not in time (``TIMEOUT``).
    """
    process = resolve(target)
    if process is None:
        raise CallExit(NOPROC, ("stop", target, reason, checked_timeout(timeout)))
    await process.stop(reason, timeout)


def exit(target: Any, reason: Any) -> None:  # `exit` is its name in OTP.
    """Send an exit signal from the current process to *target* (rule 5).

    `NORMAL` is ignored unless the target traps exits or is the sender itself; `KILL` always ends it; any other reason
    ends it unless it traps exits. A dead or unknown target is no error.
    """
    process = target if target.__class__ is Process else resolve(target)
    if process is not None:
        process.exit(reason)


def self_pid() -> Pid:
    """Return the process whose code runs here; in a test's body, its root process.

    Raises:
        UsageError: No process runs here.
    """
    return acting_process("self_pid()")


def flag_trap_exit(on: bool = True) -> bool:  # noqa: FBT001, FBT002  # One flag, as in OTP.
    """Say whether exit signals shall come to the current process as `Exit` messages; return what held before."""
    process = acting_process("flag_trap_exit()")
    before, process.trap_exit = process.trap_exit, bool(on)
    return before


def _other(target: Any, what: str) -> Process:
    process = resolve(target)
    if process is None:
        raise UsageError(f"{what}: no process is registered as {target!r}", reason="noproc")
    process.runtime.check_thread(what)
    return process


def link(target: Any) -> None:
    """Tie the current process to *target*: when one ends, the other gets an exit signal (rule 6).

    Raises:
        CallExit: *target* is dead, and the current process does not trap exits; if it does, it gets an `Exit` with
            reason `NOPROC` instead.
        UsageError: *target* is a name that nobody has.
    """
    process = acting_process("link()")
    other = _other(target, "link")
    if other.exit_reason is not None:
        if not process.trap_exit:
            raise CallExit(NOPROC, ("link", other))
        process.deliver(Exit(other, NOPROC))
    elif other is not process:
        process.link(other)


def unlink(target: Any) -> None:
    """Untie the current process from *target*; nothing will arrive when it ends."""
    process = acting_process("unlink()")
    other = resolve(target)
    if other is not None:
        process.unlink(other)


def monitor(target: Any) -> Ref:
    """Ask for one ``Down(ref, target, reason)`` when *target* ends, at once if it has (rule 8).

    Returns:
        A reference, unique for each monitor.
    """
    process = acting_process("monitor()")
    other = resolve(target)
    ref = Ref(process, other)
    if other is None or other.exit_reason is not None:
        process.deliver(Down(ref, target, NOPROC))
        return ref
    other.runtime.check_thread("monitor")
    if process.monitors is None:
        process.monitors = {}
    if other.watchers is None:
        other.watchers = {}
    process.monitors[ref] = other
    other.watchers[ref] = (process, target if not callable(target) else other)
    return ref


def demonitor(ref: Ref, *, flush: bool = False) -> None:
    """Forget the monitor *ref*; with *flush* also remove its `Down` from the mailbox if it is there already."""
    process = ref.watcher
    process.runtime.check_thread("demonitor")
    target = process.monitors.pop(ref, None) if process.monitors is not None else None
    if target is not None and target.watchers is not None:
        target.watchers.pop(ref, None)
    if flush:
        for index, entry in enumerate(list(process.queue)):
            if entry.__class__ is Down and entry.ref is ref:
                del process.queue[index]
                break


def send_after(target: Any, message: Any, seconds: float) -> TimerHandle:
    """Send *message* to *target* after *seconds* on the runtime's clock; return a handle with ``cancel()``.

    The target is looked up when the time has come; a name that nobody has then is no error.
    """
    check_doomed()
    runtime = target.runtime if isinstance(target, Process) else current_runtime()
    checked_timeout(seconds)

    def fire() -> None:
        process = resolve(target)
        if process is not None:
            process.arrive(Info(message))

    return runtime.clock.call_at(runtime.clock.time() + seconds, fire)
