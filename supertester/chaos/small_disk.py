"""`small_disk`: a disk of its own for the program under test, which can be full without harm to anybody else."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from supertester.chaos.chance import checked_rate
from supertester.chaos.hogs import temporary_folder
from supertester.chaos.journal import note
from supertester.chaos.limits import MB
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported, UsageError
from supertester.targets.reaper import reaper

__all__ = ["DiskFull", "SmallDisk", "small_disk"]

_MOST_MB: Final = 1024
_FLAGS: Final = 2 | 4  # MS_NOSUID, MS_NODEV
_DETACH: Final = 2
_BALLAST: Final = ".ballast"


def small_disk(*, size_mb: float = 1) -> SmallDisk:
    """Return a disk of its own, which is there once it is awaited or entered, until the block or the test ends.

    It is a file system of its own (``tmpfs``) in a folder of the test: give that to the program under test as the place
    for its data. Writing more than fits fails with ``ENOSPC``, as on any disk. To make one takes Linux and root.

    Args:
        size_mb: Megabytes, at most 1024. They take memory once they are written.

    Raises:
        UsageError: The size makes no sense.
        Unsupported: When awaited: the system, or a lack of privileges, does not allow it; the message says what does.

    Example::

        disk = await small_disk(size_mb=4)
        server = await start_process(["server", "--data", str(disk.folder)])
        disk.fill()
        assert (await put("/item")).status == 507
        disk.drain()
        assert (await put("/item")).status == 200
    """
    if isinstance(size_mb, bool) or not isinstance(size_mb, (int, float)):
        raise TypeError(f"size_mb must be a number of megabytes, got size_mb={size_mb!r}")
    if not 0 < size_mb <= _MOST_MB:
        raise UsageError(f"size_mb must be more than 0 and at most {_MOST_MB}, got size_mb={size_mb!r}")
    return SmallDisk(int(size_mb * MB))


class SmallDisk(Undoable):
    """A disk of its own; see `small_disk`.

    Attributes:
        size: How many bytes it was to have.
    """

    _name = "chaos.small_disk"

    def __init__(self, size: int) -> None:
        self.size = size
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Where it is.

        Raises:
            UsageError: It is not there: it was not awaited or entered, or it has been undone.
        """
        if self._folder is None:
            raise UsageError("the disk has no folder: await it, or enter it with `async with`")
        return self._folder

    @property
    def free(self) -> int:
        """How many bytes are left."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, share: float = 1.0) -> int:
        """Take a share of what is free, by default all; return how many bytes are left.

        Raises:
            UsageError: The share is not from 0 to 1.
        """
        wanted = int(self.free * checked_rate("share", share))
        with (self.folder / _BALLAST).open("ab") as file:
            if wanted:
                os.posix_fallocate(file.fileno(), file.tell(), wanted)
        note("disk_full", str(self.folder), {"taken": wanted, "free": self.free})
        return self.free

    def drain(self) -> int:
        """Give back what `fill` took; return how many bytes are free."""
        ballast = self.folder / _BALLAST
        with suppress(FileNotFoundError):
            os.truncate(ballast, 0)  # Else a process that was forked while it was written keeps its room for a while.
            ballast.unlink()
        return self.free

    async def _do(self) -> None:
        if not sys.platform.startswith("linux"):
            raise Unsupported(f"small_disk() mounts a file system in memory, which it cannot do on {sys.platform}")
        folder = temporary_folder("disk-")
        reaper.folder_made(folder)
        try:
            _mount(folder, self.size)
        except BaseException:
            reaper.folder_gone(folder)
            folder.rmdir()
            raise
        self._folder = folder

    async def _undo(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            # Who has a file open there goes on with it, and it is gone for everybody else.
            _call("umount2", os.fsencode(folder), _DETACH)
            reaper.folder_gone(folder)
            shutil.rmtree(folder)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        there = self._folder is not None
        return {"size": self.size, "folder": str(self.folder) if there else None, "free": self.free if there else None}

    def __repr__(self) -> str:
        return f"<disk of {self.size} bytes, {self._folder or 'not there'}>"


def _mount(folder: Path, size: int) -> None:
    try:
        _call("mount", b"supertester", os.fsencode(folder), b"tmpfs", _FLAGS, f"size={size},mode=0777".encode())
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise
        raise Unsupported(
            "small_disk() mounts a file system, which takes root here. Without: full_file() of an exhausted disk fails "
            "at each write, and limit_resources(file_size_mb=...) lets a process write no more"
        ) from None


def _call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True)
class DiskFull:
    """A `SmallDisk` is full, as a `supertester.chaos.Fault`."""

    share: float = 1.0
    name: str = field(default="disk_full", init=False)

    @asynccontextmanager
    async def inject(self, target: SmallDisk, /) -> AsyncIterator[dict[str, Any]]:
        """Be full in the body."""
        target.fill(self.share)
        try:
            yield target.to_dict()
        finally:
            target.drain()
