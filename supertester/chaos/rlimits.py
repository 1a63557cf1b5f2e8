"""`limit_resources`: a process of the operating system may take no more of something, from outside, while it runs."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from supertester._core.evidence import shown
from supertester.chaos.chance import checked_count
from supertester.chaos.journal import note
from supertester.chaos.limits import MB
from supertester.chaos.os_signals import process_victim, spare_core
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported, UsageError
from supertester.targets.os_process import ProcessTarget, family

try:
    import resource
except ImportError:  # Windows has no such limits.
    resource = None  # type: ignore[assignment]

__all__ = [
    "LimitedProcess",
    "address_space",
    "check_linux",
    "free_of",
    "limit_resources",
    "open_descriptors",
    "tasks_of_user",
]

_EXEMPT: Final = 1 << 21 | 1 << 24
"""CAP_SYS_ADMIN and CAP_SYS_RESOURCE: who has one of these may start processes as he likes."""


def limit_resources(
    target: Any,
    *,
    memory_mb: float | None = None,
    file_descriptors: int | None = None,
    cpu_seconds: float | None = None,
    file_size_mb: float | None = None,
    processes: int | None = None,
    tree: bool = False,
) -> LimitedProcess:
    """Let a process take only so much more of its resources, until the block or the test ends.

    The limits are those of the system, set by ``prlimit``: what the process asks for beyond them really fails. What it
    has already it keeps, so 0 means: no more at all. What it starts meanwhile has the same limits. At the end all of
    them have those of before.

    Args:
        target: The process: an `ExternalProcess`, a ``Popen``, a ``multiprocessing.Process``, …
        memory_mb: Megabytes of address space; beyond that, allocations fail (``MemoryError``), and no thread starts.
        file_descriptors: How many more files and sockets; beyond that, ``open`` fails with ``EMFILE``.
        cpu_seconds: Seconds of processor time, rounded up; then the system sends SIGXCPU, which ends who does not
            handle it.
        file_size_mb: How large a file may get, in all; a write beyond that fails with ``EFBIG`` in a program that
            ignores SIGXFSZ, as Python does, and ends others.
        processes: How many more processes and threads its user may have. There is no such limit for root.
        tree: Limit all that it has started, too.

    Returns:
        To be awaited, or entered with ``async with``.

    Raises:
        UsageError: The process has ended, or no limit or one below 0 is given.
        Unsupported: The system is not Linux, does not allow it, or knows no such limit for that process.

    Example::

        async with limit_resources(server, file_descriptors=0):
            assert (await get("/health")).status == 503
        assert (await get("/health")).status == 200
    """
    wanted = {
        "memory_mb": memory_mb,
        "file_descriptors": file_descriptors,
        "cpu_seconds": cpu_seconds,
        "file_size_mb": file_size_mb,
        "processes": processes,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given:
        raise UsageError(f"limit_resources: there is nothing to limit; give one of {', '.join(wanted)}")
    for name, value in given.items():
        _check(name, value)
    check_linux("limit_resources")
    return LimitedProcess(process_victim(target, "limit_resources"), given, tree=tree)


def check_linux(what: str) -> None:
    """Refuse to go on where no process can be limited from outside.

    Raises:
        Unsupported: It is not Linux.
    """
    if not hasattr(resource, "prlimit"):
        raise Unsupported(f"{what} limits a process from outside, by prlimit, which {sys.platform} does not have")


def _check(name: str, value: Any) -> None:
    if name in ("file_descriptors", "processes"):
        checked_count(name, value, 0)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {name}={value!r}")
    elif not value >= 0:
        raise UsageError(f"{name} must be 0 or more, got {name}={value!r}")


@dataclass(frozen=True)
class _Kind:
    """A limit: its name in the system, and what it has to be so that a process can have so much more."""

    name: str
    of: Callable[[ProcessTarget, float], int]

    @property
    def number(self) -> int:
        return int(getattr(resource, self.name))


def address_space(process: ProcessTarget) -> int:
    """Return the bytes of addresses that *process* uses."""
    return int(_psutil(process).memory_info().vms)


def _memory(process: ProcessTarget, more: float) -> int:
    return address_space(process) + int(more * MB)


def open_descriptors(process: ProcessTarget) -> set[int]:
    """Return the numbers of the files that *process* has open."""
    return {int(each.name) for each in Path(f"/proc/{process.pid}/fd").iterdir()}


def _descriptors(process: ProcessTarget, more: float) -> int:
    # The limit is on the numbers, of which the lowest free one is given: so many free ones have to be below it.
    used = open_descriptors(process)
    free = (number for number in itertools.count() if number not in used)
    return int(next(itertools.islice(free, int(more), None)))


def _cpu(process: ProcessTarget, more: float) -> int:
    times = _psutil(process).cpu_times()
    return math.ceil(float(times.user + times.system) + more)


def _file_size(_: ProcessTarget, size: float) -> int:
    return int(size * MB)


def tasks_of_user(process: ProcessTarget) -> int:
    """Return how many processes and threads the user of *process* has.

    Raises:
        Unsupported: It is root, who may have any number.
    """
    import psutil

    user = _psutil(process).uids().real
    if user == 0 or _privileges(process) & _EXEMPT:
        raise Unsupported(
            f"{process!r} runs as root, or with its privileges, and may start as many processes as it likes; start it "
            "as another user"
        )
    found = 0
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            found += each.num_threads() if each.uids().real == user else 0
    return found


def _processes(process: ProcessTarget, more: float) -> int:
    return tasks_of_user(process) + int(more)


def _privileges(process: ProcessTarget) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return int(next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0"), 16)


def _psutil(process: ProcessTarget) -> Any:
    import psutil

    return psutil.Process(process.pid)


_KINDS: Final = {
    "memory_mb": _Kind("RLIMIT_AS", _memory),
    "file_descriptors": _Kind("RLIMIT_NOFILE", _descriptors),
    "cpu_seconds": _Kind("RLIMIT_CPU", _cpu),
    "file_size_mb": _Kind("RLIMIT_FSIZE", _file_size),
    "processes": _Kind("RLIMIT_NPROC", _processes),
}


def free_of(process: ProcessTarget, name: str, used: int) -> int | None:
    """Return how much more than *used* a process may have by the limit ``RLIMIT_...``; ``None`` if there is none."""
    soft, _ = _limit_of(process, getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else max(soft - used, 0)


def _limit_of(process: ProcessTarget, number: int, *new: tuple[int, int]) -> tuple[int, int]:
    """Return a limit, the one in force and the one that it could be raised to, and set it to *new*."""
    try:
        soft, hard = resource.prlimit(process.pid, number, *new)
    except PermissionError:
        raise Unsupported(f"{process!r} belongs to another user, whose processes may not be limited") from None
    return soft, hard


def _put_limit(process: ProcessTarget, number: int, soft: int) -> int:
    """Set the limit that is in force, and leave the one it could be raised to; return what it was.

    Who is no root can lower the second one, and nobody could undo that.
    """
    before, hard = _limit_of(process, number)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard) if soft != resource.RLIM_INFINITY else hard
    _limit_of(process, number, (soft, hard))
    return before


@dataclass(frozen=True)
class _Put:
    """A limit that was set."""

    process: ProcessTarget
    kind: _Kind
    before: int
    during: int


@dataclass(eq=False, repr=False)
class LimitedProcess(Undoable):
    """A process that may take no more of something; see `limit_resources`.

    Attributes:
        target: Which process.
        limited: How much more it may take of what.
    """

    _name = "chaos.limit_resources"
    target: ProcessTarget
    limited: dict[str, float]
    tree: bool = field(kw_only=True)
    _puts: list[_Put] = field(default_factory=list, init=False)

    @property
    def limits(self) -> dict[str, tuple[int, int]]:
        """The limits of the system of the target: by their names, what they were and what they were set to."""
        return {put.kind.name: (put.before, put.during) for put in self._puts if put.process is self.target}

    @property
    def active(self) -> bool:
        """Whether the limits are in force on a process that lives."""
        return bool(self._puts) and not self._over and self.target.is_alive()

    async def _do(self) -> None:
        for process in family(self.target) if self.tree else [self.target]:
            for name, value in self.limited.items():
                self._put(process, name, value)
        note("limit_resources", self.target, {name: list(limit) for name, limit in self.limits.items()})

    def _put(self, process: ProcessTarget, name: str, value: float) -> None:
        kind = _KINDS[name]
        if name == "cpu_seconds":
            spare_core(process)
        try:
            during = kind.of(process, value)
            before = _put_limit(process, kind.number, during)
        except (ProcessLookupError, FileNotFoundError):
            if process is self.target:
                raise UsageError(f"limit_resources: {process!r} has ended", reason="noproc") from None
            return
        self._puts.append(_Put(process, kind, before, during))

    async def _undo(self) -> None:
        for put in reversed(self._puts):
            for process in _heirs(put.process):
                with suppress(ProcessLookupError, Unsupported):  # It has ended, or become another user's.
                    if _limit_of(process, put.kind.number)[0] == put.during:
                        _put_limit(process, put.kind.number, put.before)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        limits = {name: list(limit) for name, limit in self.limits.items()}
        return {"target": shown(self.target), "limited": self.limited, "limits": limits, "active": self.active}

    def __repr__(self) -> str:
        return f"<limits of {self.target!r}: {self.limited}, {'in force' if self.active else 'not in force'}>"


def _heirs(process: ProcessTarget) -> Iterable[ProcessTarget]:
    """Return a process with what it has started meanwhile, and what inherited its limits."""
    return family(process) if process.is_alive() else ()
