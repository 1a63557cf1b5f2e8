"""The process of the operating system that a server has for itself, seen from outside: begun, watched, killed."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from supertester.errors import Unsupported, UsageError
from supertester.targets.os_server.arrival import Arrival
from supertester.targets.os_server.counters import Counters
from supertester.targets.reaper import reaper
from supertester.targets.tree import has_children, kill_tree, signal_group

__all__ = ["FAMILY_MARK", "START_METHODS", "Launched", "check_system", "pickled"]

START_METHODS: Final = ("spawn", "forkserver")
FAMILY_MARK: Final = "SUPERTESTER_OS_SERVER"
"""The variable by which all that the process starts is known."""
_PIPE: Final = 1 << 20
"""Bytes that a pipe can hold, where the system allows."""
_GONE: Final = 2.0
"""Seconds in which a killed process has to be gone: it takes about a millisecond."""


def check_system() -> None:
    """Refuse a system where the death of a process cannot be watched for as it is here.

    Raises:
        Unsupported: It is one.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open") or not hasattr(os, "memfd_create"):
        raise Unsupported(
            "start_os_server: it needs the process descriptors (pidfd) and shared memory (memfd) of Linux, and this is "
            f"{sys.platform}; start the server here with start_link(), or a program with start_process()"
        )


def pickled(cls: type, what: Any) -> bytes:
    """Return *what*, of which *cls* is the server, as bytes for another process.

    Raises:
        UsageError: That cannot be done, or the other process could not find the class.
    """
    name = f"{cls.__module__}.{cls.__qualname__}"
    if "<locals>" in cls.__qualname__:
        raise UsageError(
            f"{name} is defined inside a function, where another process cannot import it from; move the class to the "
            "top of a module"
        )
    if cls.__module__ == "__main__" and not _has_main_file():
        raise UsageError(
            f"{cls.__qualname__} is defined in __main__, which is no file here that another process could import; move "
            "the class to a module"
        )
    try:
        return pickle.dumps(what, 5)
    except Exception as error:
        raise UsageError(
            f"the class {name} and its arguments go to another process, and cannot be pickled: {error}; give values "
            "that can, and let init() make what cannot"
        ) from error


def _has_main_file() -> bool:
    module = sys.modules["__main__"]
    file = getattr(module, "__file__", None)
    return getattr(module, "__spec__", None) is not None or (file is not None and Path(file).is_file())


class Launched:
    """The process, with the pipes to it.

    Args:
        arrive: Makes what the process is given, of the descriptors of its ends of both pipes and of the counters.
        start_method: How `multiprocessing` starts it.
        name: What it is called there.
        counters: What both see.

    Attributes:
        pid: The operating system's number of the process, and of its group.
        death: The descriptor that becomes readable when it has ended.
        requests: The descriptor to write to.
        answers: That to read from.
    """

    def __init__(
        self,
        arrive: Callable[[int, int, int], Arrival],
        start_method: str,
        name: str,
        counters: Counters,
    ) -> None:
        from supertester.targets.os_server.child import main  # Which needs what not every system has.

        context: Any = get_context(start_method)
        theirs, self._requests = context.Pipe(duplex=False)
        self._answers, theirs_too = context.Pipe(duplex=False)
        try:
            for each in (self._requests, self._answers):
                os.set_blocking(each.fileno(), False)
                _widen(each.fileno())
            arrival = arrive(theirs.fileno(), theirs_too.fileno(), counters.descriptor)
            self._process = context.Process(target=main, args=(arrival,), name=name)
            self._process.start()
        except BaseException:
            self._requests.close()
            self._answers.close()
            raise
        finally:
            theirs.close()
            theirs_too.close()
            os.close(counters.descriptor)
        self.pid: int = self._process.pid
        self.requests: int = self._requests.fileno()
        self.answers: int = self._answers.fileno()
        self.death = _watched(self.pid)
        self._family = arrival.environment[FAMILY_MARK]
        reaper.add(self.pid)

    def says_when_quiet(self, is_quiet: Callable[[], bool]) -> None:
        """Let those who wait for child processes ask *is_quiet* whether anything is to come from this one."""
        self._process.supertester_is_quiet = is_quiet

    def has_ended(self, timeout: float = 0) -> bool:
        """Say whether it has ended, or does within *timeout* seconds, for which nothing else runs."""
        poll = select.poll()
        poll.register(self.death, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def kill(self, *, family: bool) -> None:
        """Kill it, with all that it has started if it has a *family*, and wait until it is gone."""
        if not self.has_ended():
            if family and has_children(self.pid):
                kill_tree(self.pid)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.death, signal.SIGKILL)
            self.has_ended(_GONE)

    def outcome(self, *, family: bool) -> int | None:
        """Return the exit code of one that has ended, negative for a signal.

        If it may leave a *family* behind, that is killed.
        """
        if family:
            signal_group(self.pid, signal.SIGKILL)
            reaper.end_marked(FAMILY_MARK, self._family)
        code: int | None = self._process.exitcode
        if code is None:  # A fork server, whose child it was, has yet to tell.
            self._process.join(_GONE)
            code = self._process.exitcode
        return code

    def close(self) -> None:
        """Take leave of one whose `outcome` has been asked for."""
        reaper.discard(self.pid)
        os.close(self.death)
        self._requests.close()
        self._answers.close()
        self._process.supertester_is_quiet = None
        if self._process.exitcode is not None:
            self._process.close()


def _watched(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:  # It has, and the fork server, whose child it was, has waited for it.
        return os.eventfd(1, os.EFD_CLOEXEC)


def _widen(pipe: int) -> None:
    import fcntl

    with suppress(OSError):  # More than this user may have.
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
