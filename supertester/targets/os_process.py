"""Processes of the operating system as targets, alone or as the master of a tree of workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from supertester._core.standstill import come_to_rest
from supertester._core.waiting import wait_until
from supertester.errors import Unsupported, UsageError
from supertester.otp.reasons import KILL, SHUTDOWN, is_reason
from supertester.targets.pidfd import Life, in_words, start_of
from supertester.targets.target import Identity, Target
from supertester.targets.tree import descendants

if TYPE_CHECKING:
    import psutil

__all__ = ["ProcessTarget", "family", "signal_of"]

_PATIENCE: Final = 5.0
"""Seconds that the system may take to suspend a process."""
_FORKSERVER: Final = "multiprocessing.forkserver"
_TRACKER: Final = "multiprocessing.resource_tracker"


class ProcessTarget(Target):
    """A process of the operating system; its children, if it has any, are its workers.

    So it is also a tree: the master of gunicorn, uvicorn or a Celery worker. Its exit reason is text: ``"signal
    SIGKILL"``, ``"exit status 3"``. That is known for its children and for what others have started: on Linux 6.15 and
    later always, before that if the parent has not yet waited for it; otherwise the text begins with ``unknown``.

    Args:
        process: The number of a process, a ``subprocess.Popen``, a process of ``asyncio`` or of ``multiprocessing``, a
            ``psutil.Process``, or an `ExternalProcess`.
        name: What it is called; by default what it calls itself.
        is_worker: Says of a ``psutil.Process``, started by it, whether it is a worker; by default each is but what
            ``multiprocessing`` starts for itself. What a server of forks has started counts as started by its parent.

    Raises:
        UsageError: There is no such process, or it was not started.
        Unsupported: On Windows, which has no signals.

    >>> import subprocess, sys
    >>> async def main():
    ...     with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as popen:
    ...         target = ProcessTarget(popen)
    ...         target.kill()
    ...         return await target.wait()
    >>> asyncio.run(main())
    'signal SIGKILL'
    """

    lacks = {  # noqa: RUF012 - declared a ClassVar above
        "queue_len": "what a process has to do is known to itself alone; ask it with a probe of your own",
        "sync": "what a process has to do is known to itself alone; ask it with a probe of your own",
    }

    def __init__(
        self, process: Any, *, name: str | None = None, is_worker: Callable[[psutil.Process], object] | None = None
    ) -> None:
        if os.name != "posix":
            raise Unsupported(f"{process!r} can be no target on this system, which has no signals")
        pid = process if isinstance(process, int) else process.pid
        if pid is None:
            raise UsageError(f"{process!r} was not started yet; start it first")
        self._process = process
        self._life = Life(pid, start=_known_start(process))
        self._reason: str | None = None
        self._sent: int | None = None
        self._is_worker = is_worker
        self._workers: dict[tuple[int, int], ProcessTarget] = {}
        if not self._life.existed and self._told() is None:
            raise UsageError(f"there is no process with the number {pid} (any more), got {process!r}")
        self._identity = Identity(name or _name_of(process, pid), pid, self._life.start)

    @property
    def identity(self) -> Identity:
        """Its name, its number, and as the generation the moment of its start, in ticks of the system's clock."""
        return self._identity

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return self._life.pid

    @property
    def started(self) -> int:
        """When it began, in ticks of the system's clock; with its number that says which process it is."""
        return self._life.start

    @property
    def state(self) -> str:
        """``"running"``, ``"stopped"`` if suspended, ``"gone"``, or ``"zombie"``: its parent has not waited for it."""
        return self._life.state

    # Its end ---------------------------------------------------------------------------------------------------------

    @property
    def exit_reason(self) -> str | None:
        """How it ended, e.g. ``"signal SIGKILL"`` or ``"exit status 0"``."""
        if self._reason is None:
            has_ended = self._life.has_ended()
            code = self._told()  # Asked after that, or nobody would have waited for one that ends just now.
            if code is None and not has_ended:
                return None
            code = self._life.status() if code is None else code
            self._reason = self._unknown() if code is None else in_words(code)
            self._life.close()
        return self._reason

    def _told(self) -> int | None:
        """Return the exit status as who has started the process knows it, and let it be waited for."""
        poll = getattr(self._process, "poll", None)
        if poll is not None:  # A Popen, which asks the system only when it is asked itself.
            return poll() if not _is_psutil(self._process) else None
        for attribute in ("returncode", "exitcode"):
            with suppress(AttributeError, ValueError, AssertionError):  # Closed, or a child of another process.
                return getattr(self._process, attribute)  # type: ignore[no-any-return]
        return None

    def _unknown(self) -> str:
        sent = "" if self._sent is None else f", after {in_words(-self._sent)} was sent to it"
        return f"unknown: it is no child of this process, and Linux before 6.15 tells nobody else{sent}"

    def on_exit(self, callback: Callable[[Any], object]) -> Callable[[], object]:
        """Call ``callback(target)`` once, in the running event loop, when it has ended: from its descriptor."""
        loop = asyncio.get_running_loop()
        if not self.is_alive():
            return loop.call_soon(callback, self).cancel
        return self._life.on_end(lambda: callback(self)) or super().on_exit(callback)

    def kill(self, reason: Any = KILL) -> None:
        """Send it a signal, to it alone; nothing happens if it has ended.

        Args:
            reason: `KILL`; `SHUTDOWN`, which is SIGTERM; or the number of a signal, such as ``signal.SIGSEGV``.

        Raises:
            UsageError: It is nothing of these.
        """
        number = signal_of(reason)
        if self.is_alive():
            self._sent = number
            self._life.send(number)

    def kill_now(self, within: float = 1.0) -> None:
        """Send it SIGKILL, and block until that has taken effect, for so many seconds at most.

        The system takes less than a millisecond, as a rule. For threads, and for who must not go on before.
        """
        self.kill()
        self._life.has_ended(within)

    def suspend_now(self, within: float = 1.0) -> bool:
        """Send it SIGSTOP, and block until it stands still, for so many seconds at most; return whether it does."""
        self.kill(signal.SIGSTOP)
        come_to_rest(lambda: [self] if self.state == "running" else [], within)
        return self.state == "stopped"

    def check_reason(self, reason: Any) -> None:
        """Raise `UsageError` unless *reason* is `KILL`, `SHUTDOWN` or the number of a signal."""
        signal_of(reason)

    async def stop(self, timeout: float = 5.0) -> Any:
        """Send it SIGTERM, let it go on if it is suspended, and wait until it has ended; return its exit reason.

        Raises:
            WaitTimeout: It has not ended in so many seconds. Nothing else is done to it.
        """
        self.kill(SHUTDOWN)
        await self.resume()
        return await self.ended(timeout, "SIGTERM")

    # Holding it up ---------------------------------------------------------------------------------------------------

    async def suspend(self) -> None:
        """Send it SIGSTOP, and wait until it stands still."""
        self._life.send(signal.SIGSTOP)
        await wait_until(
            lambda: self.state != "running", f"{self!r} to stand still", timeout=_PATIENCE, seen=lambda: self.state
        )

    async def resume(self) -> None:
        """Send it SIGCONT."""
        self._life.send(signal.SIGCONT)

    # What it is made of ----------------------------------------------------------------------------------------------

    def workers(self) -> Sequence[Target]:
        """Return the processes that it has started itself and that are alive, the oldest first."""
        found = {}
        for child in self._children():
            life = child.pid, start_of(child.pid) or 0
            known = self._workers.get(life)
            if known is None:
                with suppress(UsageError):  # It has ended meanwhile.
                    known = ProcessTarget(child, name=f"worker of {self._identity.id}")
            if known is not None and known.is_alive():
                found[life] = known
        self._workers = found
        return sorted(found.values(), key=lambda worker: (worker.identity.generation, worker.pid))

    def _children(self) -> list[psutil.Process]:
        import psutil

        if not self.is_alive():
            return []
        with suppress(psutil.Error):
            started = [each for child in _children_of(self.pid) for each in _started_by(child)]
            return [each for each in started if self._is_worker is None or self._is_worker(each)]
        return []


def _children_of(pid: int) -> list[psutil.Process]:
    """Return the children of a process: what Linux says of it, where it does, else by a look at all processes."""
    import psutil

    found = []
    try:
        threads = [each.name for each in Path(f"/proc/{pid}/task").iterdir()]
        lists = [Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii") for thread in threads]
    except OSError:
        return psutil.Process(pid).children()
    for child in " ".join(lists).split():
        with suppress(psutil.Error):
            found.append(psutil.Process(int(child)))
    return found


def _started_by(child: psutil.Process) -> list[psutil.Process]:
    """Return *child*, or what a child that works for ``multiprocessing`` itself has started on its parent's behalf."""
    import psutil

    with suppress(psutil.Error):
        command = " ".join(child.cmdline())
        if _FORKSERVER in command:
            return _children_of(child.pid)
        return [] if _TRACKER in command else [child]
    return []


def family(root: ProcessTarget) -> list[ProcessTarget]:
    """Return a process and all that it has started, directly or not, and that is alive."""
    found = [root]
    for each in descendants(root.pid):
        with suppress(UsageError):  # It has ended meanwhile.
            found.append(ProcessTarget(each))
    return [each for each in found if each.is_alive()]


def signal_of(reason: Any) -> signal.Signals:
    """Return the signal that *reason* stands for: `KILL`, `SHUTDOWN`, a signal, its number or its name.

    Raises:
        UsageError: It stands for none.

    >>> signal_of("SIGSEGV")
    <Signals.SIGSEGV: 11>
    """
    if is_reason(reason, KILL):
        return signal.SIGKILL
    if is_reason(reason, SHUTDOWN):
        return signal.SIGTERM
    with suppress(ValueError, KeyError):
        if isinstance(reason, str):
            return signal.Signals[reason]
        if isinstance(reason, int) and not isinstance(reason, bool):
            return signal.Signals(reason)
    raise UsageError(
        f"a process is ended by KILL, SHUTDOWN or a signal such as signal.SIGSEGV or 'SIGSEGV', got {reason!r}"
    )


def _is_psutil(process: Any) -> bool:
    return type(process).__module__.partition(".")[0] == "psutil"


def _known_start(process: Any) -> int | None:
    """Return the start of a process that is held as a ``psutil.Process``, whose number may belong to another now."""
    if _is_psutil(process) and not process.is_running():
        return -1
    return None


def _name_of(process: Any, pid: int) -> str:
    name = getattr(process, "name", None)
    if isinstance(name, str):  # One of `multiprocessing`, or an `ExternalProcess`.
        return name
    import psutil

    with suppress(psutil.Error):
        return psutil.Process(pid).name()
    return f"process {pid}"
