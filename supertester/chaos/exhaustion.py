"""`simulate_resource_exhaustion`: a resource is really taken away, up to its limit where it has one, and given back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supertester._core.evidence import shown
from supertester.chaos import limits
from supertester.chaos.chance import checked_count
from supertester.chaos.hogs import Descriptors, Disk, Hog, Memory, Processes, Tables, Tasks, Threads
from supertester.chaos.journal import note
from supertester.chaos.limits import MB
from supertester.chaos.os_signals import process_victim
from supertester.chaos.process_hogs import OfProcess, OsProcesses, Processors, processors
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported, UsageError
from supertester.targets.os_process import ProcessTarget

__all__ = ["Exhaustion", "checked_share", "checked_size", "of_memory", "share_of", "simulate_resource_exhaustion"]

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "process_limit": ("spawn_count", "percentage", "kind"),
    "tables": ("count",),
    "memory": ("size_mb", "percentage"),
    "file_descriptors": ("count", "percentage"),
    "disk": ("size_mb",),
    "cpu": ("count", "percentage", "nice"),
}
_OF_PROCESS: Mapping[str, tuple[str, ...]] = {
    "process_limit": ("spawn_count", "percentage"),
    "memory": ("size_mb", "percentage"),
    "file_descriptors": ("count", "percentage"),
}
"""What can be taken away from one process."""
_KINDS: dict[str, type[Hog]] = {
    "tasks": Tasks,
    "threads": Threads,
    "processes": Processes,
    "os_processes": OsProcesses,
}
_CUSTOMARY = 10_000
"""Of tasks and of processes of the runtime there may be any number; this is what a share is taken of."""
_MOST = {"tasks": 1_000_000, "threads": 4_000, "processes": 1_000_000, "os_processes": 1_000}
_MOST_MEMORY = 1024 * MB
_MOST_HOGS = 4
"""Processes that compute, for each processor."""
_NICEST = 19
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

    _name = "chaos.exhaustion"

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

    @property
    def evidence(self) -> dict[str, Any]:
        """What shows that it is really taken, as it stands now: processes, limits, how many were ended for it."""
        return self._hog.evidence()

    async def _do(self) -> None:
        if isinstance(self._hog, Disk):
            _check_disk(self._hog.choose_folder(), self.wanted or 0)
        self.taken, self.reached_limit = await self._hog.take(self.wanted)
        details = {"taken": self.taken, "unit": self.unit, "limit": self.limit, **self.evidence}
        note("exhaustion", self.resource, details)

    async def _undo(self) -> None:
        await self._hog.release()
        self.taken = 0
        self.released = True

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        shown_here = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**shown_here, "evidence": self.evidence}

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
    nice: int | None = None,
    target: Any = None,
) -> Exhaustion:
    """Take a resource away, until the block ends, `Exhaustion.cleanup` is awaited, or the test ends.

    - ``"process_limit"``: tasks, threads, processes of the embedded runtime, or those of the operating system (*kind*)
      that wait; *spawn_count* of them, 500 by default, or a share of what there may be: of threads and processes of
      the operating system its limit, of the others 10 000;
    - ``"tables"``: *count* tables of the test, 50 by default;
    - ``"memory"``: *size_mb* megabytes, 10 by default, each page written, or a share of the memory limit;
    - ``"file_descriptors"``: *count* of them, or a share of what is left, by default all: then the next ``open`` fails
      with ``EMFILE``;
    - ``"disk"``: *size_mb* megabytes in a temporary folder, 10 by default;
    - ``"cpu"``: *count* processors, or a share of them, by default all that this process may use: each is kept busy by
      a process that computes, *nice* to the others.

    File descriptors, threads and memory are those of the whole process: whatever runs beside the test misses them too.
    Take them away from a process of the operating system instead, the *target*: ``"memory"``, ``"file_descriptors"``
    and ``"process_limit"``, as much as is given of what it could still have, by default all of it. It keeps what it
    has, and what it asks for beyond fails; see `limit_resources`.

    A disk cannot be filled without harm to others: `Exhaustion.full_file` gives files on which each write really fails
    with ``ENOSPC``, and `small_disk`, where the privileges are there, a whole disk of its own.

    Args:
        resource: One of these.
        percentage: The share, more than 0 and at most 1.
        spawn_count: How many tasks, threads or processes, whatever the *percentage*.
        count: How many tables or descriptors.
        size_mb: How many megabytes: at most 1024, and no more than half of the memory that is free.
        kind: What counts as a process: ``"tasks"``, the default, ``"threads"``, ``"processes"`` or ``"os_processes"``.
        nice: By how much the processes that compute give way to others, from 0, as any other, to 19; 10 by default.
        target: The process that it is taken away from: an `ExternalProcess`, a ``Popen``, …

    Returns:
        To be awaited, or entered with ``async with``. It is released when `Exhaustion.cleanup` returns.

    Raises:
        UsageError: The resource is unknown, or an amount is 0 or less, or more than is safe.
        TypeError: The resource has no such option.
        Unsupported: A *target*, where it is not Linux, or for root's number of processes.

    >>> import asyncio
    >>> async def main():
    ...     async with simulate_resource_exhaustion("process_limit", spawn_count=20) as exhaustion:
    ...         during = len(asyncio.all_tasks())
    ...     return during, len(asyncio.all_tasks()), exhaustion
    >>> asyncio.run(main())
    (21, 1, <exhaustion of process_limit: released>)
    """
    given = {"percentage": percentage, "spawn_count": spawn_count, "count": count, "size_mb": size_mb, "kind": kind}
    given = {name: value for name, value in {**given, "nice": nice}.items() if value is not None}
    _check_options(resource, given, _OPTIONS if target is None else _OF_PROCESS)
    share = checked_share(percentage)
    if target is not None:
        amount = _amount(size_mb, count if count is not None else spawn_count)
        return _of_target(process_victim(target, "simulate_resource_exhaustion"), resource, share, amount)
    if resource == "cpu":
        return _of_processors(count, share, 10 if nice is None else nice)
    if resource == "process_limit":
        return _of_processes(kind or "tasks", spawn_count, share)
    if resource == "tables":
        return Exhaustion(resource, Tables(), 50 if count is None else checked_count("count", count), None)
    if resource == "file_descriptors":
        left = limits.free_descriptors()
        wanted = share_of(left, share, resource) if count is None else checked_count("count", count)
        return Exhaustion(resource, Descriptors(), wanted, left)
    size = checked_size(10 if size_mb is None else size_mb)
    if resource == "disk":
        return Exhaustion(resource, Disk(), size, None)
    limit = limits.memory_limit()
    return of_memory(size if share is None else int(limit * share), limit)


def _check_options(resource: Any, given: dict[str, Any], options: Mapping[str, tuple[str, ...]]) -> None:
    if not isinstance(resource, str) or resource not in _OPTIONS:
        close = difflib.get_close_matches(str(resource), _OPTIONS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"there is no resource {resource!r} to exhaust; {hint}The resources are {', '.join(_OPTIONS)}")
    if resource not in options:
        raise Unsupported(f"{resource!r} cannot be taken away from one process; what can is {', '.join(options)}")
    known = options[resource]
    for name in given:
        if name not in known:
            raise TypeError(f"exhaustion of {resource!r} has no option {name!r}; its options are {', '.join(known)}")
    # A number of processes decides what becomes of a share.
    counted = "spawn_count" in given
    amounts = [name for name in given if name not in ("kind", "nice") and not (counted and name == "percentage")]
    if len(amounts) > 1:
        raise UsageError(f"give one of {' and '.join(amounts)}, not both")


def checked_share(percentage: Any) -> float | None:
    """Return *percentage*, or raise the error that a bad share deserves."""
    if percentage is None:
        return None
    if isinstance(percentage, bool) or not isinstance(percentage, (int, float)):
        raise TypeError(f"percentage must be a number, got percentage={percentage!r}")
    if not 0 < percentage <= 1:
        raise UsageError(f"percentage is a share, more than 0 and at most 1, e.g. 0.8; got percentage={percentage!r}")
    return percentage


def checked_size(size_mb: Any) -> int:
    """Return so many megabytes in bytes, or raise the error that a bad size deserves."""
    if isinstance(size_mb, bool) or not isinstance(size_mb, (int, float)):
        raise TypeError(f"size_mb must be a number of megabytes, got size_mb={size_mb!r}")
    if not 0 < size_mb <= _MOST_MEMORY / MB:
        raise UsageError(f"size_mb must be more than 0 and at most {_MOST_MEMORY // MB}, got size_mb={size_mb!r}")
    return int(size_mb * MB)


def share_of(left: int | None, share: float | None, resource: str) -> int | None:
    """Return how much a *share* of what is *left* is; all is ``None``."""
    if share is None or share == 1:
        return None
    if left is None:
        raise Unsupported(f"it cannot be known how much of {resource} is left here; give a count")
    return max(int(left * share), 1)


def _amount(size_mb: float | None, count: int | None) -> int | None:
    if size_mb is not None:
        return checked_size(size_mb)
    return None if count is None else checked_count("count", count)


def _of_target(process: ProcessTarget, resource: str, share: float | None, amount: int | None) -> Exhaustion:
    hog = OfProcess(process, resource)
    free = hog.free()
    return Exhaustion(resource, hog, share_of(free, share, resource) if amount is None else amount, free)


def _of_processors(count: int | None, share: float | None, nice: Any) -> Exhaustion:
    if checked_count("nice", nice, 0) > _NICEST:
        raise UsageError(f"nice must be from 0 to {_NICEST}, got nice={nice!r}")
    there = processors()
    wanted = share_of(there, share, "cpu") if count is None else checked_count("count", count)
    if wanted is not None and wanted > _MOST_HOGS * there:
        raise UsageError(f"{wanted} processors are more than is safe here, {_MOST_HOGS * there}; give less")
    return Exhaustion("cpu", Processors(nice), wanted, there)


def _of_processes(kind: str, spawn_count: int | None, share: float | None) -> Exhaustion:
    if kind not in _KINDS:
        raise UsageError(f"there is no kind {kind!r}; the kinds are {', '.join(_KINDS)}")
    limit = limits.free_threads() if kind in ("threads", "os_processes") else None
    if spawn_count is None and share is not None:
        wanted, what = max(int((limit or _CUSTOMARY) * share), 1), f"percentage={share!r} of {limit or _CUSTOMARY}"
    else:
        wanted, what = 500 if spawn_count is None else checked_count("spawn_count", spawn_count), f"{spawn_count=}"
    if wanted > _MOST[kind]:
        raise UsageError(f"{what} is {wanted} {kind}, and {_MOST[kind]} is the most that is safe; give less")
    return Exhaustion("process_limit", _KINDS[kind](), wanted, limit)


def of_memory(wanted: int, limit: int) -> Exhaustion:
    """Return what takes *wanted* bytes in this process, if that is safe."""
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
