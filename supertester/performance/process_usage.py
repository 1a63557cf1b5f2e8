"""What another process uses, with all that it has started: memory, processor time, descriptors and threads."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from supertester.errors import Unsupported, UsageError
from supertester.targets.adapting import process_of
from supertester.targets.os_process import family

__all__ = ["ProcessCost", "ProcessUsage", "ProcessWatch", "process_usage"]

_US: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ProcessUsage:
    """What a process uses now, with all that it has started.

    Attributes:
        pid: Its number.
        processes: How many they are.
        memory_bytes: What nobody else uses, and what would be free if they ended (USS).
        cpu_us: Microseconds of processor time that they, and what they have started and waited for, have used so far.
        descriptors: Open files, sockets and the like.
        threads: Threads.
    """

    pid: int
    processes: int
    memory_bytes: int
    cpu_us: float
    descriptors: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return asdict(self)


def process_usage(process: Any, *, tree: bool = True) -> ProcessUsage:
    """Return what a process of the operating system uses now.

    Args:
        process: An `ExternalProcess`, a ``Popen``, a ``multiprocessing.Process``, a ``psutil.Process``, or a server of
            `start_os_server`.
        tree: Count what it has started, too.

    Raises:
        UsageError: It has ended.
        TypeError: It is no process.
        Unsupported: The system does not tell, e.g. of another user's processes.

    >>> import psutil
    >>> usage = process_usage(psutil.Process())
    >>> usage.threads >= 1 and usage.memory_bytes > 1_000_000
    True
    """
    return ProcessWatch(process, tree=tree).usage()


class ProcessWatch:
    """Asks again and again what a process uses; see `process_usage`."""

    def __init__(self, process: Any, *, tree: bool = True) -> None:
        found = process_of(process)
        if found is None:
            raise TypeError(
                f"process must be one of the operating system, e.g. an ExternalProcess or a Popen, got {process!r}"
            )
        self.target = found
        self._tree = tree

    def usage(self) -> ProcessUsage:
        """Return what it uses now.

        Raises:
            UsageError: It has ended.
        """
        if not self.target.is_alive():
            raise UsageError(f"{self.target!r} has ended, so nobody can tell what it uses", reason="noproc")
        found = [_use_of(each.pid) for each in (family(self.target) if self._tree else [self.target])]
        used = [each for each in found if each is not None]
        if not used:
            raise UsageError(f"{self.target!r} has ended meanwhile", reason="noproc")
        return ProcessUsage(
            pid=self.target.pid,
            processes=len(used),
            memory_bytes=sum(each.memory_bytes for each in used),
            cpu_us=sum(each.cpu_us for each in used),
            descriptors=sum(each.descriptors for each in used),
            threads=sum(each.threads for each in used),
        )


def _use_of(pid: int) -> ProcessUsage | None:
    """Return what one process uses, or ``None`` if it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return ProcessUsage(
                pid=pid,
                processes=1,
                memory_bytes=process.memory_full_info().uss,
                cpu_us=_own_cpu_us(pid, times) + (times.children_user + times.children_system) * _US,
                descriptors=process.num_fds(),
                threads=process.num_threads(),
            )
    except (psutil.NoSuchProcess, psutil.ZombieProcess, FileNotFoundError):
        return None
    except (psutil.AccessDenied, PermissionError, AttributeError) as error:
        raise Unsupported(f"nobody tells here what process {pid} uses: {error}") from error


def _own_cpu_us(pid: int, times: Any) -> float:
    """Return the processor time of a process, to the nanosecond where the system has a clock for each.

    The number of the clock is that of ``clock_getcpuclockid(3)`` in Linux.
    """
    clock = (~pid << 3) | 2
    with suppress(OSError, AttributeError):
        return time.clock_gettime_ns(clock) / 1000
    return float(times.user + times.system) * _US


@dataclass(frozen=True, kw_only=True)
class ProcessCost:
    """What an operation cost another process, with all that it has started.

    Attributes:
        cpu_us: Microseconds of processor time.
        memory_bytes: By how much its memory grew; negative if that shrank.
        descriptors: By how many its open files and sockets grew.
        threads: By how many its threads grew.
        processes: By how many processes it became more.
        after: What it used afterwards.
    """

    cpu_us: float
    memory_bytes: int
    descriptors: int
    threads: int
    processes: int
    after: ProcessUsage

    @classmethod
    def between(cls, before: ProcessUsage, after: ProcessUsage) -> ProcessCost:
        """Return the difference."""
        return cls(
            # What ends without being waited for takes its time with it.
            cpu_us=max(after.cpu_us - before.cpu_us, 0.0),
            memory_bytes=after.memory_bytes - before.memory_bytes,
            descriptors=after.descriptors - before.descriptors,
            threads=after.threads - before.threads,
            processes=after.processes - before.processes,
            after=after,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return asdict(self)
