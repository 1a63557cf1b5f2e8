"""`simulate_resource_exhaustion`: a resource is really taken away, up to its limit where it has one, and given back."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from supertester._core.evidence import shown
from supertester.chaos import limits
from supertester.chaos.chance import checked_count
from supertester.chaos.hogs import Descriptors, Disk, Hog, Memory, Processes, Tables, Tasks, Threads
from supertester.chaos.journal import note
from supertester.chaos.limits import MB
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported, UsageError

__all__ = ["Exhaustion", "consume_memory", "simulate_resource_exhaustion"]

_OPTIONS = {
    "process_limit": ("spawn_count", "percentage", "kind"),
    "tables": ("count",),
    "memory": ("size_mb", "percentage"),
    "file_descriptors": ("count", "percentage"),
    "disk": ("size_mb",),
}
_KINDS: dict[str, type[Hog]] = {"tasks": Tasks, "threads": Threads, "processes": Processes}
_CUSTOMARY = 10_000
"""Of tasks and of processes of the runtime there may be any number; this is what a share is taken of."""
_MOST = {"tasks": 1_000_000, "threads": 4_000, "processes": 1_000_000}
_MOST_MEMORY = 1024 * MB
_MOST_DISK = 1024 * MB
_FREE_DISK = 512 * MB
"""Bytes that are left on the disk at the least: it belongs to others, too."""

_FULL = Path("/dev/full")


class Exhaustion(Undoable):
    """A resource that is taken away: awaited, or entered with ``async with``.

    Attributes:
        resource: Which resource.
        unit: What is counted.
        wanted: How much was to be taken; ``None``: all there is.
        taken: How much is held now.
        reached_limit: Whether there was no more: the next one who asks for some fails.
        limit: How much there was when it was asked for, or ``None`` if that has no limit or cannot be known.
        released: Whether all of it was given back.
    """

    def __init__(self, resource: str, hog: Hog, wanted: int | None, limit: int | None) -> None:
        self.resource = resource
        self.unit = hog.unit
        self.wanted = wanted
        self.taken = 0
        self.reached_limit = False
        self.limit = limit
        self.released = False
        self._hog = hog

    @property
    def folder(self) -> Path:
        """Where the space of a disk is taken.

        Raises:
            UsageError: The resource is not ``"disk"``, or nothing was taken yet.
        """
        if not isinstance(self._hog, Disk) or self._hog.folder is None:
            raise UsageError(f"only a disk that space is taken of has a folder and full files; this is {self!r}")
        return self._hog.folder

    def full_file(self, name: str = "full") -> Path:
        """Return the path of a file on the disk that is full: it can be opened, and each write fails with ``ENOSPC``.

        Raises:
            UsageError: As `folder`.
            Unsupported: The system has no ``/dev/full``.
        """
        path = self.folder / name
        if not _FULL.exists():
            raise Unsupported(f"full_file() needs {_FULL}, which this system does not have")
        path.symlink_to(_FULL)
        return path

    async def _do(self) -> None:
        if isinstance(self._hog, Disk):
            _check_disk(self._hog.choose_folder(), self.wanted or 0)
        self.taken, self.reached_limit = await self._hog.take(self.wanted)
        note("exhaustion", self.resource, {"taken": self.taken, "unit": self.unit, "limit": self.limit})

    async def _undo(self) -> None:
        await self._hog.release()
        self.taken = 0
        self.released = True

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __repr__(self) -> str:
        state = "released" if self.released else f"{self.taken} {self.unit} taken"
        return f"<exhaustion of {self.resource}: {state}{', no more to be had' if self.reached_limit else ''}>"


def simulate_resource_exhaustion(
    resource: str,
    *,
    percentage: float | None = None,
    spawn_count: int | None = None,
    count: int | None = None,
    size_mb: float | None = None,
    kind: str | None = None,
) -> Exhaustion:
    """Take a resource away, until the block ends, `Exhaustion.cleanup` is awaited, or the test ends.

    - ``"process_limit"``: tasks, threads, or processes of the embedded runtime (*kind*) that wait; *spawn_count* of
      them, 500 by default, or a share of what there may be: of threads the system's limit, of the others 10 000;
    - ``"tables"``: *count* tables of the test, 50 by default;
    - ``"memory"``: *size_mb* megabytes, 10 by default, each page written, or a share of the memory limit;
    - ``"file_descriptors"``: *count* of them, or a share of what is left, by default all: then the next ``open`` fails
      with ``EMFILE``;
    - ``"disk"``: *size_mb* megabytes in a temporary folder, 10 by default.

    File descriptors, threads and memory are those of the whole process: whatever runs beside the test misses them too.
    A disk cannot be filled without harm to others, nor made small without privileges: `Exhaustion.full_file` gives
    files on which each write really fails with ``ENOSPC``.

    Args:
        resource: One of these.
        percentage: The share, more than 0 and at most 1.
        spawn_count: How many tasks, threads or processes.
        count: How many tables or descriptors.
        size_mb: How many megabytes: at most 1024, and no more than half of the memory that is free.
        kind: What counts as a process.

    Returns:
        To be awaited, or entered with ``async with``. It is released when `Exhaustion.cleanup` returns.

    Raises:
        UsageError: The resource is unknown, or an amount is 0 or less, or more than is safe.
        TypeError: The resource has no such option.

    >>> import asyncio
    >>> async def main():
    ...     async with simulate_resource_exhaustion("process_limit", spawn_count=20) as exhaustion:
    ...         during = len(asyncio.all_tasks())
    ...     return during, len(asyncio.all_tasks()), exhaustion
    >>> asyncio.run(main())
    (21, 1, <exhaustion of process_limit: released>)
    """
    given = {"percentage": percentage, "spawn_count": spawn_count, "count": count, "size_mb": size_mb, "kind": kind}
    given = {name: value for name, value in given.items() if value is not None}
    _check_options(resource, given)
    share = _checked_share(percentage)
    if resource == "process_limit":
        return _of_processes(kind or "tasks", spawn_count, share)
    if resource == "tables":
        return Exhaustion(resource, Tables(), 50 if count is None else checked_count("count", count), None)
    if resource == "file_descriptors":
        left = limits.free_descriptors()
        wanted = _share_of(left, share, resource) if count is None else checked_count("count", count)
        return Exhaustion(resource, Descriptors(), wanted, left)
    size = _checked_size(10 if size_mb is None else size_mb)
    if resource == "disk":
        return Exhaustion(resource, Disk(), size, None)
    limit = limits.memory_limit()
    return _of_memory(size if share is None else int(limit * share), limit)


def _check_options(resource: Any, given: dict[str, Any]) -> None:
    if not isinstance(resource, str) or resource not in _OPTIONS:
        close = difflib.get_close_matches(str(resource), _OPTIONS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"there is no resource {resource!r} to exhaust; {hint}The resources are {', '.join(_OPTIONS)}")
    known = _OPTIONS[resource]
    for name in given:
        if name not in known:
            raise TypeError(f"exhaustion of {resource!r} has no option {name!r}; its options are {', '.join(known)}")
    amounts = [name for name in given if name != "kind"]
    if len(amounts) > 1:
        raise UsageError(f"give one of {' and '.join(amounts)}, not both")


def _checked_share(percentage: Any) -> float | None:
    if percentage is None:
        return None
    if isinstance(percentage, bool) or not isinstance(percentage, (int, float)):
        raise TypeError(f"percentage must be a number, got percentage={percentage!r}")
    if not 0 < percentage <= 1:
        raise UsageError(f"percentage is a share, more than 0 and at most 1, e.g. 0.8; got percentage={percentage!r}")
    return percentage


def _checked_size(size_mb: Any) -> int:
    if isinstance(size_mb, bool) or not isinstance(size_mb, (int, float)):
        raise TypeError(f"size_mb must be a number of megabytes, got size_mb={size_mb!r}")
    if not 0 < size_mb <= _MOST_MEMORY / MB:
        raise UsageError(f"size_mb must be more than 0 and at most {_MOST_MEMORY // MB}, got size_mb={size_mb!r}")
    return int(size_mb * MB)


def _share_of(left: int | None, share: float | None, resource: str) -> int | None:
    """Return how much a *share* of what is *left* is; all is ``None``."""
    if share is None or share == 1:
        return None
    if left is None:
        raise Unsupported(f"it cannot be known how much of {resource} is left here; give a count")
    return max(int(left * share), 1)


def _of_processes(kind: str, spawn_count: int | None, share: float | None) -> Exhaustion:
    if kind not in _KINDS:
        raise UsageError(f"there is no kind {kind!r}; the kinds are {', '.join(_KINDS)}")
    limit = limits.free_threads() if kind == "threads" else None
    if share is not None:
        wanted = max(int((limit or _CUSTOMARY) * share), 1)
    else:
        wanted = 500 if spawn_count is None else checked_count("spawn_count", spawn_count)
    if wanted > _MOST[kind]:
        what = f"spawn_count={spawn_count!r}" if share is None else f"percentage={share!r} of {limit or _CUSTOMARY}"
        raise UsageError(f"{what} is {wanted} {kind}, and {_MOST[kind]} is the most that is safe; give less")
    return Exhaustion("process_limit", _KINDS[kind](), wanted, limit)


def _of_memory(wanted: int, limit: int) -> Exhaustion:
    free = limits.free_memory()
    most = _MOST_MEMORY if free is None else min(_MOST_MEMORY, free // 2)
    if wanted > most:
        raise UsageError(
            f"{wanted // MB} MB of memory is more than is safe here, {most // MB} MB; give less, or limit the memory "
            "of a process and test that"
        )
    return Exhaustion("memory", Memory(), wanted, limit)


def _check_disk(folder: Path, wanted: int) -> None:
    free = limits.free_disk(folder)
    if free - wanted < _FREE_DISK:
        raise UsageError(
            f"{wanted // MB} MB would leave less than {_FREE_DISK // MB} MB of the {free // MB} MB that are free in "
            f"{shown(str(folder))}; give less"
        )


def consume_memory(fraction: float, *, limit_mb: float | None = None, cap_mb: float = 256) -> Exhaustion:
    """Take a share of the memory limit, until the block ends, `Exhaustion.cleanup` is awaited, or the test ends.

    Args:
        fraction: More than 0 and at most 1.
        limit_mb: What it is a share of; by default the limit that is set for this process, else the memory of the
            machine.
        cap_mb: Megabytes that are never exceeded, whatever the share would be; ``wanted`` says how much is taken.

    Returns:
        As `simulate_resource_exhaustion`.

    Raises:
        UsageError: A value makes no sense, or that much is not free.

    >>> import asyncio
    >>> async def main():
    ...     async with consume_memory(0.5, limit_mb=8) as exhaustion:
    ...         return exhaustion.taken
    >>> asyncio.run(main())
    4194304
    """
    share = _checked_share(fraction)
    assert share is not None
    limit = limits.memory_limit() if limit_mb is None else _checked_size(limit_mb)
    return _of_memory(min(int(limit * share), _checked_size(cap_mb)), limit)
