"""The life of any process of the operating system, child or not: its end as an event, and its true exit status.

On Linux a process is held by a descriptor (``pidfd``), which goes on meaning the same process when its number is used
again. Elsewhere it is known by its number and the time of its start.
"""

from __future__ import annotations

import asyncio
import functools
import os
import select
import signal
import struct
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from supertester.context import IsolationContext, current_context

try:
    import fcntl
except ImportError:  # Windows, which has no such descriptors either.
    fcntl = None  # type: ignore[assignment]

__all__ = ["Life", "in_words", "start_of"]

_GET_INFO: Final = (3 << 30) | (64 << 16) | (0xFF << 8) | 11
"""``PIDFD_GET_INFO`` of Linux 6.13: an ioctl that reads and writes 64 bytes."""
_EXIT: Final = 1 << 3
"""``PIDFD_INFO_EXIT`` of Linux 6.15: the status is there, and outlives the process."""
_STATUS_AT: Final = 60


def in_words(code: int) -> str:
    """Return an exit status as text; it is negative for a signal.

    >>> in_words(-9), in_words(3)
    ('signal SIGKILL', 'exit status 3')
    """
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"  # A real-time one.


def start_of(pid: int) -> int | None:
    """Return when the process was started, as a number that grows; ``None`` if there is no such process."""
    fields = _stat(pid)
    if fields is not None:
        return int(fields[19])
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).create_time() * 1000)
    return None


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on, the state."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    return None


_open_in: weakref.WeakKeyDictionary[IsolationContext, weakref.WeakSet[Life]] = weakref.WeakKeyDictionary()


class Life:
    """One process, from now until its end; its number alone may mean another one later.

    Args:
        pid: Its number.
        start: What `start_of` gave for it before, if it is one that was found earlier.
    """

    def __init__(self, pid: int, start: int | None = None) -> None:
        self.pid = pid
        self._descriptor = -1
        with suppress(OSError, AttributeError):  # It is gone, or the system has no such descriptors.
            self._descriptor = os.pidfd_open(pid)
        now = start_of(pid)
        self.existed = now is not None and start in (None, now)
        self.start = (now if start is None else start) or 0
        self._close = weakref.finalize(self, _close, self._descriptor)
        if not self.existed:
            self.close()
        elif (context := current_context.get()) is not None and not context.closed:
            _close_with(context, self)

    @property
    def _held(self) -> int:
        return self._descriptor if self._close.alive else -1

    def close(self) -> None:
        """Give the descriptor back; from now on it is known by its number and its start."""
        self._close()

    def has_ended(self, within: float = 0.0) -> bool:
        """Say whether it has ended, waited for or not; block for so many seconds, where there is an event."""
        if self._held >= 0:
            poll = select.poll()
            poll.register(self._held, select.POLLIN)
            return bool(poll.poll(within * 1000))
        return self.state in ("zombie", "gone")

    @property
    def state(self) -> str:
        """``running``, ``stopped``, ``zombie`` or ``gone``."""
        if start_of(self.pid) != self.start:
            return "gone"
        letter = (_stat(self.pid) or [_letter(self.pid)])[0]
        return {"T": "stopped", "t": "stopped", "Z": "zombie", "X": "gone", "": "gone"}.get(letter, "running")

    def status(self) -> int | None:
        """Return its exit status, negative for a signal, or ``None`` if the system does not tell it (any more).

        Asks without taking it away from the parent: as its child, as a process that nobody has waited for yet, and of
        its descriptor, where Linux keeps it.
        """
        held = self._held
        if held >= 0:
            with suppress(OSError, AttributeError):
                found = os.waitid(os.P_PIDFD, held, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is not None:
                    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        fields = _stat(self.pid)
        if fields is not None and fields[0] == "Z" and int(fields[19]) == self.start:
            return os.waitstatus_to_exitcode(int(fields[49]))
        return _kept_status(held) if held >= 0 else None

    def send(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self._held >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._held, number)
        elif not self.has_ended():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def on_end(self, tell: Callable[[], object]) -> Callable[[], object] | None:
        """Call *tell* in the running loop when it has ended; ``None`` if the system has no such event.

        Returns:
            A function that forgets *tell*.
        """
        if self._held < 0:
            return None
        loop = asyncio.get_running_loop()
        watched = os.dup(self._held)  # One loop holds one callback of a descriptor.
        open_ = [watched]

        def forget() -> None:
            if open_:
                open_.clear()
                loop.remove_reader(watched)
                os.close(watched)

        def ended() -> None:
            forget()
            tell()

        loop.add_reader(watched, ended)
        return forget


def _close_with(context: IsolationContext, life: Life) -> None:
    """Give the descriptor of *life* back at the end of the test, if somebody still holds *life* then."""
    lives = _open_in.get(context)
    if lives is None:
        lives = _open_in[context] = weakref.WeakSet()
        context.add_cleanup(functools.partial(_close_all, lives))
    lives.add(life)


def _close_all(lives: weakref.WeakSet[Life]) -> None:
    for life in list(lives):
        life.close()


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _letter(pid: int) -> str:
    """Return the letter of the state where there is no ``/proc``."""
    import psutil

    with suppress(psutil.Error):
        status: Any = psutil.Process(pid).status()
        return {psutil.STATUS_STOPPED: "T", psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X"}.get(status, "R")
    return ""


def _kept_status(descriptor: int) -> int | None:
    """Return the status of a process that has been waited for already, from Linux 6.15 on."""
    answer = bytearray(64)
    struct.pack_into("Q", answer, 0, _EXIT)
    with suppress(OSError):
        fcntl.ioctl(descriptor, _GET_INFO, answer)
        if struct.unpack_from("Q", answer, 0)[0] & _EXIT:
            return os.waitstatus_to_exitcode(struct.unpack_from("i", answer, _STATUS_AT)[0])
    return None
