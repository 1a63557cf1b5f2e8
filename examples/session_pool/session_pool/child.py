"""A child process with a group of its own, which ends when this process does, however that happens. Linux only."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import IO

__all__ = ["Child"]

_KEPT = 2_000
"""Bytes of what it writes to its standard error that are kept."""


class Child:
    """Starts a program; whoever reads from it has to call `reap` in the end.

    Attributes:
        pid: Its number, which is also that of its group.
        ended_fd: Becomes readable when it has ended.
        stdin: A pipe to it.
        stdout: A pipe from it.
        stderr: Another one.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        theirs, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*argv, "--lifeline", str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs],
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            os.close(self._lifeline)
            raise
        finally:
            os.close(theirs)
        self.pid = self._process.pid
        self.ended_fd = os.pidfd_open(self.pid)
        self.stdin, self.stdout, self.stderr = map(
            _taken, (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        os.set_blocking(self.stderr, False)
        self._lock = Lock()
        self._said = b""

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; ``None`` until it has been reaped."""
        return self._process.returncode

    def signal_group(self, number: int) -> bool:
        """Send a signal to it and all that it has started; say whether it was still there."""
        with self._lock:
            # Once it is reaped, the number may be another's.
            if self._process.returncode is not None:
                return False
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            return True

    def read_errors(self) -> bool:
        """Keep the end of what it has written to its standard error; say whether more may come."""
        try:
            while data := os.read(self.stderr, 1 << 16):
                self._said = (self._said + data)[-_KEPT:]
        except BlockingIOError:
            return True
        return False

    @property
    def last_words(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def reap(self) -> int:
        """Kill its group, wait for its end, which must not be far, and return its exit status."""
        with self._lock:
            if self._process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)  # What it has started is not to outlive it.
                self._process.wait()
        self.read_errors()
        for each in (self.ended_fd, self.stderr, self._lifeline):
            os.close(each)
        assert self._process.returncode is not None
        return self._process.returncode


def _taken(file: IO[bytes] | None) -> int:
    """Return the descriptor of *file* as one that nobody else closes."""
    assert file is not None
    with file:
        return os.dup(file.fileno())
