"""Which port numbers are promised to somebody although no socket holds them, known to all processes of this user.

A number is written down before the socket that holds it is closed. So who is given a number by the operating system and
then looks here sees whether it was promised to somebody else meanwhile; looking needs no lock. An entry whose process
is gone is dropped by the next one who writes.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from supertester._core.forking import free_in_children
from supertester._core.lazy import lazy_import
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.logs.routing import unrecorded

__all__ = ["PortRegistry", "import_before_threads"]

_PAUSE: Final = 0.005
"""Seconds between two attempts to get the lock."""
_SAME_START: Final = 1.0
"""Seconds by which two readings of when a process started may differ."""

Row = dict[str, Any]


class PortRegistry:
    """A file of promised port numbers and a lock beside it.

    Args:
        folder: Where they are; by default a folder of this user in that for temporary files.
    """

    _package = "filelock"
    _patience = 10.0
    """Seconds to wait for other processes, each of which writes a few hundred bytes."""

    def __init__(self, folder: Path | None = None) -> None:
        self._user = os.getuid() if hasattr(os, "getuid") else None
        self._folder = folder or Path(tempfile.gettempdir(), f"supertester-ports-{self._user}")
        self._file = self._folder / "ports.json"

    def rows(self) -> list[Row]:
        """Return the entries; none if there is no file, or one that nobody can read."""
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [row for row in rows if _is_row(row)] if isinstance(rows, list) else []

    def holds(self, kind: str, number: int) -> bool:
        """Say whether the port is promised to somebody."""
        return any((row.get("kind"), row.get("number")) == (kind, number) for row in self.rows())

    def add(self, kind: str, number: int) -> str:
        """Promise the port to whom this process gives the number; return what `remove` takes.

        Raises:
            UsageError: The package ``filelock`` is not installed.
            TimeoutError: Another process does not let go of the lock.
            PermissionError: The folder belongs to another user.
        """
        token = uuid.uuid4().hex
        row = {"kind": kind, "number": number, "pid": os.getpid(), "started": _start_of(os.getpid()), "token": token}
        self._write(lambda rows: [*rows, row])
        return token

    def remove(self, tokens: set[str]) -> None:
        """Take back what `add` promised."""
        if tokens:
            self._write(lambda rows: [row for row in rows if row.get("token") not in tokens])

    def _write(self, change: Callable[[list[Row]], list[Row]]) -> None:
        with self._locked():
            is_alive = functools.cache(_is_alive)  # A process may have hundreds of entries.
            rows = change([row for row in self.rows() if is_alive(row["pid"], row["started"])])
            new = self._folder / f"ports.{os.getpid()}.new"
            new.write_text(json.dumps(rows), encoding="utf-8")
            new.replace(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        filelock = lazy_import(self._package, purpose="giving a port's number away", extra="ports")
        install_once(_let_forks_wait)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None and self._folder.lstat().st_uid != self._user:
            raise PermissionError(f"{self._folder} belongs to another user; remove it, or set TMPDIR to another folder")
        lock = filelock.FileLock(self._folder / "ports.lock", blocking=False)
        with unrecorded:  # What a lock logs is not what the test logs.
            self._acquire(lock, filelock.Timeout)
            try:
                yield
            finally:
                with _forking:
                    lock.release()

    def _acquire(self, lock: Any, timeout: type[Exception]) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with _forking:
                    lock.acquire()
                return
            except timeout:
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        f"another process has held {lock.lock_file} for {self._patience:g} s; end it, or remove the "
                        "file"
                    ) from None
            time.sleep(_PAUSE)


def import_before_threads() -> None:
    """Import what a `PortRegistry` needs, if it is installed, while nobody can be in the midst of a fork.

    ``filelock`` has something to do before each fork and after it. A fork that another thread has begun when it is
    imported would only see the second half, and report an error in that thread.
    """
    if find_spec(PortRegistry._package) is not None:
        import_module(PortRegistry._package)
        _hook_forks()


_forking = free_in_children(threading.RLock())
_hooked: list[int] = []
_forks = threading.local()


def _hook_forks() -> None:
    """Let forks wait that do not call `os.fork`, as of `subprocess` with a ``preexec_fn``. This cannot be undone."""
    if not _hooked and hasattr(os, "fork"):
        _hooked.append(os.getpid())
        os.register_at_fork(before=_begin_fork, after_in_parent=_end_fork)


def _begin_fork() -> None:
    _forking.acquire()
    _forks.begun = getattr(_forks, "begun", 0) + 1


def _end_fork() -> None:
    if getattr(_forks, "begun", 0):  # Else the fork began before it was hooked.
        _forks.begun -= 1
        _forking.release()


def _let_forks_wait() -> Undo:
    """Let forks wait for each other, and while the lock is taken or given back: ``filelock`` 4 refuses them then."""
    if not hasattr(os, "fork"):
        return lambda: None
    _hook_forks()
    previous = os.fork

    @functools.wraps(previous)
    def fork() -> int:
        _forking.acquire()
        pid = None
        try:
            pid = previous()
        finally:
            if pid != 0:  # In the child the lock is a new one.
                _forking.release()
        return pid

    return replace_attribute(os, "fork", fork)


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("pid"), int) and isinstance(row.get("started"), float)


def _start_of(pid: int) -> float:
    """Return when a process started, by which it is told from a later one with the same number."""
    import psutil

    started: float = psutil.Process(pid).create_time()
    return started


def _is_alive(pid: int, started: float) -> bool:
    """Say whether the process that wrote an entry is still there."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _SAME_START and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError):
        return False
