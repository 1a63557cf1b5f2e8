"""A group of processes whose memory the system limits: a cgroup, of either version, made for a while."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from supertester._core.waiting import wait_until
from supertester.errors import Unsupported
from supertester.targets.os_process import ProcessTarget, family
from supertester.targets.reaper import reaper

__all__ = ["MemoryGroup"]

_EMPTYING: Final = 5.0
"""Seconds that processes which were ended may take to leave their group."""


@dataclass(frozen=True)
class _Version:
    """What the files of a group are called."""

    limit: str
    swap: str
    events: str


_FIRST: Final = _Version("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control")
_SECOND: Final = _Version("memory.max", "memory.swap.max", "memory.events")


class MemoryGroup:
    """A cgroup into which a process is put, with all that it has started.

    Args:
        process: The process.

    Raises:
        Unsupported: There are no cgroups, or none may be made here; the message says why.
    """

    def __init__(self, process: ProcessTarget) -> None:
        self._process = process
        self._home, self._version = _group_of(process)
        self._folder: Path | None = None
        self._limit = self._kills = 0

    def begin(self, limit: int) -> None:
        """Make the group, which may have *limit* bytes from now on, and move the processes into it."""
        folder = _above(self._home, self._version) / f"supertester-{uuid.uuid4().hex}"
        try:
            folder.mkdir()
            self._folder = folder
            reaper.folder_made(folder)
            (folder / self._version.limit).write_text(str(limit), encoding="ascii")
            with suppress(OSError):  # Where there is no such file, nothing is swapped out.
                (folder / self._version.swap).write_text(str(0 if self._version is _SECOND else limit))
            for each in family(self._process):
                _move(each.pid, folder)
        except OSError as error:
            raise Unsupported(
                f"a group of processes with limited memory cannot be made in {folder.parent}: {error.strerror}; that "
                "takes root, or a group that was delegated to the user"
            ) from error
        self._limit = limit

    @property
    def oom_kills(self) -> int:
        """How many processes of the group the system has ended because there was no memory left."""
        if self._folder is not None:
            with suppress(OSError):
                lines = (self._folder / self._version.events).read_text(encoding="ascii").splitlines()
                self._kills = sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return self._kills

    async def end(self) -> None:
        """Move who is left back to where he was, and remove the group."""
        if self._folder is None:
            return
        await wait_until(self._removed, f"the group {self._folder} to be empty", timeout=_EMPTYING)
        reaper.folder_gone(self._folder)
        self._folder = None

    def _removed(self) -> bool:
        folder = self._folder
        assert folder is not None
        _ = self.oom_kills  # The last look: what they were is told after the end, too.
        for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split():
            _move(int(pid), self._home)
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def evidence(self) -> dict[str, Any]:
        return {"pid": self._process.pid, "limit": self._limit, "oom_kills": self.oom_kills, "group": str(self._folder)}


def _move(pid: int, folder: Path) -> None:
    with suppress(ProcessLookupError):
        (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")


def _above(home: Path, version: _Version) -> Path:
    """Return where a group can be made: by the second version not in one that has processes of its own."""
    if version is _FIRST:
        return home
    for folder in (home.parent, home):
        with suppress(OSError):
            if "memory" in (folder / "cgroup.subtree_control").read_text(encoding="ascii").split():
                return folder
    return home


def _group_of(process: ProcessTarget) -> tuple[Path, _Version]:
    """Return the folder of the group that *process* is in, and its version."""
    try:
        lines = Path(f"/proc/{process.pid}/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    except OSError:
        raise Unsupported(
            "this system has no cgroups, by which the memory of a group of processes is limited"
        ) from None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            first = kind == "cgroup" and "memory" in controllers.split(",") and "memory" in options
            second = kind == "cgroup2" and not controllers
            folder = Path(mount[4]) / os.path.relpath(path, mount[3])
            if first or (second and _has_memory(folder)):
                return folder, _FIRST if first else _SECOND
    raise Unsupported("no cgroup limits memory here, so there is no group of processes to limit")


def _has_memory(folder: Path) -> bool:
    with suppress(OSError):
        return "memory" in (folder / "cgroup.controllers").read_text(encoding="ascii").split()
    return False
