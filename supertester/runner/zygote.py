"""The zygote: a process that has loaded the tests, and forks a worker whenever it is asked to.

It runs no test and starts no thread, so a worker begins in a millisecond, with all imports done. It is the parent of
all workers: it says how each ended, ends what they leave behind, and ends them all if the run itself is gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from supertester.errors import UsageError
from supertester.runner import frames, wire
from supertester.runner.beginning import Found, Given, be_worker
from supertester.runner.declared import DeclaredTest
from supertester.runner.farewell import forget_inherited, leave
from supertester.runner.forking import DESCRIPTORS, die_with, fork, outlive, signal_group
from supertester.runner.loading import Loaded, load_here
from supertester.runner.plan import Settings

__all__ = ["Begin", "be_zygote"]

Begin = Callable[[Given, Settings, Sequence[DeclaredTest]], int]
"""Begins a worker for some tests, and returns its process id."""

_PR_SET_CHILD_SUBREAPER = 36


def be_zygote(
    control: socket.socket,
    descriptors: socket.socket,
    lifeline: int,
    make: Callable[[], Loaded] | None,
    begin: Begin | None = None,
) -> NoReturn:
    """Load the tests and serve until the parent is gone; the body of a forked process.

    Args:
        control: Where requests come from and answers go to.
        descriptors: Where the descriptors for workers come from.
        lifeline: A pipe that ends with the parent.
        make: Loads the tests; ``None`` waits for the parent to say which.
        begin: Begins a worker in another way than to fork it.
    """
    os.setpgid(0, 0)  # Ctrl-C is for the parent, who knows what is running.
    forget_inherited()
    adopt_orphans()
    die_with(lifeline)  # While tests are loaded, nothing else is heard.
    loaded = _load(control, make or _awaited(control))
    outlive(lifeline)
    if loaded is None:
        leave(1)
    _Zygote(control, descriptors, loaded, begin).serve()
    leave()


def _awaited(control: socket.socket) -> Callable[[], Loaded]:
    inbox = frames.Inbox(control)
    said = None
    while said is None:
        if inbox.closed:
            leave()  # The command line asked for something else.
        said = next(inbox.receive(wait=True), None)
    loading = said[1]
    return lambda: load_here(SimpleNamespace(**loading))


def _load(control: socket.socket, make: Callable[[], Loaded]) -> Loaded | None:
    try:
        loaded = make()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the parent's to show
        kind = "usage" if isinstance(error, UsageError | ImportError) else type(error).__name__
        frames.send(control, ("failed", kind, str(error), "".join(traceback.format_exception(error))))
        return None
    frames.send(control, ("loaded", [wire.declared_to(test) for test in loaded.tests]))
    return loaded


class _Zygote:
    def __init__(self, control: socket.socket, descriptors: socket.socket, loaded: Loaded, begin: Begin | None) -> None:
        self._control = control
        self._descriptors = descriptors
        self._loaded = loaded
        self._inbox = frames.Inbox(control)
        self._plan: Sequence[DeclaredTest] = ()
        self._settings = Settings()
        self._workers: dict[int, int] = {}
        """The number of each worker, by its process id."""
        self._bell = _ChildrenBell()
        self._begin: Begin = begin or self._fork

    def serve(self) -> None:
        with self._bell as bell:
            while not self._inbox.closed:
                select.select([self._control.fileno(), bell.reader], [], [])
                bell.silence()
                for kind, *values in self._inbox.receive() if self._has_request() else ():
                    self._answer(kind, values)
                self._reap()
        for pid in self._workers:
            signal_group(pid, signal.SIGKILL)
        self._end_strays()

    def _has_request(self) -> bool:
        return bool(select.select([self._control], [], [], 0)[0])

    def _answer(self, kind: str, values: list[Any]) -> None:
        if kind == "plan":
            settings, plan = values
            self._settings = Settings(**settings)
            self._plan = [self._loaded.tests[index] for index in plan]
        elif kind == "begin":
            self._begin_worker(*values)
        elif kind == "signal":
            self._signal(*values)

    def _signal(self, number: int, signum: int, whole_group: bool) -> None:  # noqa: FBT001 - they come over the wire
        for pid, each in self._workers.items():
            if each == number and whole_group:
                signal_group(pid, signum)
            elif each == number:
                os.kill(pid, signum)  # Not reaped yet, so it is still that process.

    def _begin_worker(self, number: int) -> None:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        _, received, _, _ = socket.recv_fds(self._descriptors, 1, len(DESCRIPTORS), flags)
        given = dict(zip(DESCRIPTORS, received, strict=True))
        pid = self._begin(given, self._settings, self._plan)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # Both sides do it, so that neither has to wait for the other.
        for each in received:
            os.close(each)
        self._workers[pid] = number

    def _fork(self, given: Given, settings: Settings, plan: Sequence[DeclaredTest]) -> int:
        pid = fork()
        if pid == 0:
            self._be_worker(given, settings, plan)
        return pid

    def _be_worker(self, given: Given, settings: Settings, plan: Sequence[DeclaredTest]) -> NoReturn:
        def cut_loose() -> Found:
            self._bell.forget()
            self._control.close()
            self._descriptors.close()
            forget_inherited()
            return plan, self._loaded.object_of

        be_worker(given, settings, cut_loose)

    # The ends of workers -------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while self._workers:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            number = self._workers.pop(pid, None)
            if number is not None:
                signal_group(pid, signal.SIGKILL)  # What it leaves behind, while nobody else can have its number.
            _, status = os.waitpid(pid, 0)
            if number is not None:
                frames.send(self._control, ("exited", number, os.waitstatus_to_exitcode(status)))

    def _end_strays(self) -> None:
        """End what left the process groups of the workers, such as daemons."""
        for _ in range(100):
            children = children_of(os.getpid())
            if not children:
                return
            for pid in children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            for _ in children:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(-1, 0)


class _ChildrenBell:
    """A descriptor that is readable when a child has ended."""

    def __enter__(self) -> _ChildrenBell:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def silence(self) -> None:
        """Read what rang."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass

    def forget(self) -> None:
        """Put the process back to what it was."""
        signal.set_wakeup_fd(self._wakeup)
        signal.signal(signal.SIGCHLD, self._handler)
        os.close(self.reader)
        os.close(self._writer)


def adopt_orphans() -> None:
    """Become the parent of what workers leave behind, where the kernel can do that."""
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of *pid*, where the kernel lists them."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:  # noqa: PTH123 - its module would be loaded for it
            return [int(each) for each in file.read().split()]
    except OSError:
        return []
