"""Lets nothing outlive this process, even if that is killed: a small program watches over what it starts."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from supertester.errors import UsageError

__all__ = ["MARK", "reaper"]

MARK: Final = "SUPERTESTER_REAPER"
"""The variable that tells whose a process is."""
_PROGRAM: Final = Path(__file__).with_name("reaper_program.py")


class Reaper:
    """The program that watches over this process; it is started once, with the first process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner = 0
        self._pipe = -1
        self.mark = ""
        self.pid = 0

    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to be found."""
        with self._lock:
            self._start()
            return {MARK: self.mark}

    def add(self, group: int) -> None:
        """Watch over a process group."""
        self._tell(f"+{group}")

    def discard(self, group: int) -> None:
        """Watch over it no longer, because it has ended and another may get its number."""
        self._tell(f"-{group}")

    def end_marked(self, variable: str, value: str) -> None:
        """End all processes that have a variable of this *value* in their environment, soon."""
        self._tell(f"k{variable}={value}")

    def stopped(self, pid: int, started: float | None) -> None:
        """Let a process go on that stands still, once nobody is there to do so."""
        self._tell(f"s{pid} {started}")

    def resumed(self, pid: int, started: float | None) -> None:
        """Do that no longer."""
        self._tell(f"r{pid} {started}")

    def folder_made(self, folder: Path) -> None:
        """Unmount what is in *folder*, and remove it if it is empty, once nobody is there to do so."""
        self._tell(f"m{folder}")

    def folder_gone(self, folder: Path) -> None:
        """Do that no longer."""
        self._tell(f"u{folder}")

    def _tell(self, words: str) -> None:
        if "\n" in words:
            raise UsageError(f"a name with a line break cannot be watched over, got {words[1:]!r}; choose another")
        with self._lock:
            self._start()
            with suppress(BrokenPipeError):  # Somebody has killed it; that is no reason to fail here.
                os.write(self._pipe, os.fsencode(f"{words}\n"))

    def _start(self) -> None:
        if self._owner == os.getpid():
            return
        if self._pipe >= 0:
            os.close(self._pipe)  # That of the process which this one is a fork of, and which may not live on by it.
        self.mark = os.urandom(16).hex()
        reading, self._pipe = contextvars.Context().run(os.pipe)
        try:
            # In no test: it lives as long as this process does.
            program = contextvars.Context().run(
                subprocess.Popen,
                [sys.executable, "-I", "-S", str(_PROGRAM)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={},
            )
            program.returncode = 0  # Nobody waits for it, and nobody is to complain of that: it ends after us.
        finally:
            os.close(reading)
        self.pid = program.pid
        self._owner = os.getpid()
        os.write(self._pipe, f"{MARK}={self.mark}\n".encode())


reaper = Reaper()
