"""How much there is: the limits of the process and of the machine, as far as they can be known without privileges."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits.
    resource = None  # type: ignore[assignment]

__all__ = [
    "MB",
    "free_descriptors",
    "free_disk",
    "free_memory",
    "free_threads",
    "least",
    "memory_limit",
    "physical_memory",
]

MB = 1024 * 1024


def _soft_limit(name: str) -> int | None:
    """Return the limit ``RLIMIT_...`` that is in force, or ``None``."""
    which = getattr(resource, name, None)
    if which is None:
        return None
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _number_in(path: str) -> int | None:
    """Return the number that a file of the system holds, or ``None``: ``max`` means that there is no limit."""
    with suppress(OSError, ValueError):
        return int(Path(path).read_text(encoding="ascii"))
    return None


def least(*limits: int | None) -> int | None:
    """Return the smallest of those limits that there are, or ``None``."""
    return min((limit for limit in limits if limit is not None), default=None)


def free_descriptors() -> int | None:
    """Return how many more files this process may open, or ``None`` if that cannot be known."""
    limit = _soft_limit("RLIMIT_NOFILE")
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            open_now = len(list(Path(folder).iterdir())) - 1  # One of them is that of the folder.
            return None if limit is None else max(limit - open_now, 0)
    return None


def free_threads() -> int | None:
    """Return how many more threads there may be at most, or ``None`` if that cannot be known."""
    limit = least(
        _soft_limit("RLIMIT_NPROC"), _number_in("/sys/fs/cgroup/pids.max"), _number_in("/proc/sys/kernel/threads-max")
    )
    return None if limit is None else max(limit - (_number_in("/sys/fs/cgroup/pids.current") or 0), 0)


def physical_memory() -> int | None:
    """Return the bytes of memory that the machine has, or ``None`` if that cannot be known."""
    if sys.platform == "win32":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_limit() -> int:
    """Return the bytes of memory that this process may have at most."""
    found = least(_soft_limit("RLIMIT_AS"), _number_in("/sys/fs/cgroup/memory.max"), physical_memory())
    return found if found is not None else 1024 * MB


def free_memory() -> int | None:
    """Return the bytes that can be had without pushing anybody out, or ``None`` if that cannot be known."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    return None


def free_disk(folder: Path) -> int:
    """Return the free bytes of the file system that *folder* is on."""
    return shutil.disk_usage(folder).free
