"""`OsProcess`: one process of the operating system, which is never mistaken for a later one that has its number."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from supertester._core.waiting import Bell, wait_until
from supertester.errors import Unsupported, UsageError
from supertester.targets.exit_status import exit_status_of, start_of, stat_fields

__all__ = ["OsProcess", "check_signals", "is_os_process", "os_process"]

_STATES: Final = {"T": "stopped", "t": "stopped", "Z": "zombie", "X": "gone", "x": "gone"}
_HAS_PIDFD: Final = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")


class OsProcess:
    """A process, known by its number and its start; signals go through a descriptor of it where the system has those.

    A mere number may be that of another process a moment later, and chaos must not hit whoever that is.

    Attributes:
        pid: The number of the process.
        started: When it began: clock ticks since the machine did, on Linux, else seconds since 1970. No two processes
            have both in common.
        name: What messages call it.
    """

    def __init__(self, pid: int, *, name: str | None = None, owner: Any = None) -> None:
        self.pid = pid
        self.name = name or f"process {pid}"
        self.started = _start_of(pid)
        self._owner = owner
        self._descriptor = -1
        self._holders = 0
        self._lock = Lock()
        self._status: int | None = None

    @contextmanager
    def held(self) -> Iterator[int]:
        """Keep a descriptor of it in the body: it tells how the process ended also after its parent has asked.

        Yields:
            The descriptor; -1 if the process has ended, or where the system has none.
        """
        with self._lock:
            self._holders += 1
            if self._descriptor < 0:
                self._descriptor = self._opened()
        try:
            yield self._descriptor
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders and self._descriptor >= 0:
                    self._status = self.exit_status
                    os.close(self._descriptor)
                    self._descriptor = -1

    def _opened(self) -> int:
        if not _HAS_PIDFD or self.started is None:
            return -1
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return -1
        if _start_of(self.pid) == self.started:  # Or the number is another's by now, and so the descriptor.
            return descriptor
        os.close(descriptor)
        return -1

    # What it is --------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"`` (by SIGSTOP), ``"zombie"`` (ended, and nobody has asked how), or ``"gone"``."""
        if self._asked_of_owner() is not None or self.started is None or _start_of(self.pid) != self.started:
            return "gone"
        try:
            return _STATES.get(stat_fields(self.pid)[0], "running")
        except OSError:
            return _state_without_proc(self.pid)

    def is_alive(self) -> bool:
        """Say whether it runs or is stopped; a zombie has ended."""
        return self.state in ("running", "stopped")

    @property
    def exit_status(self) -> int | None:
        """How it ended, negative for a signal; ``None`` while it runs, or if only its parent knows."""
        if self._status is None:
            self._status = self._asked_of_owner()
        if self._status is None and not self.is_alive():
            self._status = exit_status_of(self._descriptor, self.pid, self.started)
        return self._status

    @property
    def outcome(self) -> str:
        """How it ended, in words, e.g. ``"signal SIGKILL"``."""
        if self.is_alive():
            return "nothing yet, it runs"
        status = self.exit_status
        if status is None:
            return "an unknown status, which only its parent was told"
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def _asked_of_owner(self) -> int | None:
        """Return what its owner, e.g. a ``Popen``, was told; to ask anybody else would rob him of the answer."""
        owner = self._owner
        if owner is None:
            return None
        if hasattr(owner, "poll"):
            return owner.poll()  # type: ignore[no-any-return]
        return getattr(owner, "exitcode" if hasattr(owner, "exitcode") else "returncode", None)

    def descendants(self) -> list[OsProcess]:
        """Return what it has started, directly or not, as far as that is still its own."""
        from supertester.targets.tree import descendants

        found = [OsProcess(each.pid, name=f"process {each.pid} of {self.name}") for each in descendants(self.pid)]
        return [each for each in found if each.is_alive()] if self.is_alive() else []

    # Acting on it ------------------------------------------------------------------------------------------------

    def send_signal(self, number: int) -> bool:
        """Send it a signal; return whether it was there to get one."""
        if not self.is_alive():
            return False
        with self.held() as descriptor, suppress(ProcessLookupError):
            if descriptor >= 0:
                signal.pidfd_send_signal(descriptor, number)
            elif not _HAS_PIDFD:
                os.kill(self.pid, number)
            else:
                return False
            return True
        return False

    async def wait_for_end(self, timeout: float = 10.0) -> int | None:
        """Wait until it has ended, and return its exit status, or ``None`` if only its parent knows.

        Raises:
            WaitTimeout: It has not.
        """
        with self._waking() as bell:
            await wait_until(
                lambda: not self.is_alive(),
                f"{self.name} (pid {self.pid}) to end",
                timeout=timeout,
                bell=bell,
                seen=lambda: self.state,
            )
            return self.exit_status

    @contextmanager
    def _waking(self) -> Iterator[Bell]:
        """Yield a bell that rings when it ends."""
        bell, loop = Bell(), asyncio.get_running_loop()
        with self.held() as held:
            if held < 0:
                yield bell
                return
            descriptor = os.dup(held)  # Others may wait for it, too, and a loop has one reader of each.
            loop.add_reader(descriptor, bell.ring)
            try:
                yield bell
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OsProcess) and (self.pid, self.started) == (other.pid, other.started)

    def __hash__(self) -> int:
        return hash((self.pid, self.started))

    def __repr__(self) -> str:
        number = "" if self.name == f"process {self.pid}" else f" {self.pid}"
        return f"<{self.name}{number}, {self.state}>"


def is_os_process(target: Any) -> bool:
    """Say whether *target* stands for a process of the operating system: it has a number as its ``pid``, or had one."""
    return isinstance(target, OsProcess) or _number_of(target) is not None or _is_unstarted(target)


def _number_of(target: Any) -> int | None:
    number = getattr(target, "pid", None)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _is_unstarted(target: Any) -> bool:
    return hasattr(target, "exitcode") and hasattr(target, "start") and getattr(target, "pid", 0) is None


def os_process(target: Any, what: str) -> OsProcess:
    """Return the live process that *target* stands for.

    Args:
        target: An `ExternalProcess`, ``subprocess.Popen``, ``multiprocessing.Process``, ``asyncio.subprocess.Process``,
            ``psutil.Process``, or anything else with a ``pid``.
        what: Who asks, for the message.

    Raises:
        UsageError: It has ended or has not been started.
        TypeError: It is a mere number, which may belong to another process by now, or nothing of the kind.
    """
    if isinstance(target, int):
        raise TypeError(
            f"{what}: {target!r} is a mere number, which may be another process's by now; give the Popen, the "
            "ExternalProcess or the psutil.Process"
        )
    if _is_unstarted(target):
        raise UsageError(f"{what}: {target!r} has not been started")
    number = _number_of(target)
    if number is None:
        raise TypeError(f"{what}: {target!r} is no process of the operating system; give e.g. a Popen")
    process = target if isinstance(target, OsProcess) else _converted(target, number)
    if not process.is_alive():
        raise UsageError(f"{what}: {target!r} is dead; it ended with {process.outcome}", reason="noproc")
    return process


def _converted(target: Any, number: int) -> OsProcess:
    is_running = getattr(target, "is_running", None)  # Only `psutil` has it, and knows whether the number is still his.
    if is_running is not None and not is_running():
        raise UsageError(f"{target!r} is dead", reason="noproc")
    knows = any(hasattr(target, name) for name in ("poll", "exitcode", "returncode"))
    name = getattr(target, "name", None)
    return OsProcess(number, name=name if isinstance(name, str) else None, owner=target if knows else None)


def _start_of(pid: int) -> float | None:
    """Return when the process *pid* began, or ``None`` if there is none."""
    try:
        return start_of(pid)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    import psutil

    with suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return None


def _state_without_proc(pid: int) -> str:
    import psutil

    with suppress(psutil.Error):
        status = psutil.Process(pid).status()
        found = {psutil.STATUS_STOPPED: "stopped", psutil.STATUS_ZOMBIE: "zombie"}
        return found.get(status, "running")
    return "gone"


def check_signals(what: str) -> None:
    """Refuse to go on where the system has no signals that could do it.

    Raises:
        Unsupported: It is Windows.
    """
    if not hasattr(signal, "SIGSTOP"):
        raise Unsupported(f"{what} needs signals such as SIGSTOP, which this platform does not have")
