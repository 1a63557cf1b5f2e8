"""How a process ended that is nobody's child here: what the kernel tells of it.

The parent alone is told by ``wait``. Linux keeps it in ``/proc`` until the parent has asked, and since 6.15 a
descriptor of the process (``pidfd``) tells it afterwards: ``PIDFD_GET_INFO`` in ``linux/pidfd.h``.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None  # type: ignore[assignment]

__all__ = ["exit_status_of", "start_of", "stat_fields"]

_INFO: Final = struct.Struct("=QQ11Ii")
"""``struct pidfd_info`` as it was at first: what is asked for and told, the cgroup, eleven numbers, the exit status."""
_EXIT: Final = 1 << 3
_GET_INFO: Final = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
"""``_IOWR(0xFF, 11, struct pidfd_info)``."""
_STARTED: Final = 19
"""Where ``/proc/.../stat`` has the time of the start, counted from the state on."""
_STATUS: Final = 49
"""Where it has the exit status."""


def stat_fields(pid: int) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` from the state on; what is before may have blanks in it.

    Raises:
        OSError: There is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def start_of(pid: int) -> int:
    """Return when the process began, in clock ticks since the machine did.

    Raises:
        OSError: There is no such process.
    """
    return int(stat_fields(pid)[_STARTED])


def exit_status_of(descriptor: int, pid: int, started: float | None) -> int | None:
    """Return the exit status of a process, negative for a signal; ``None`` if it cannot be known.

    Args:
        descriptor: A pidfd of it, or -1.
        pid: Its number, which counts for as long as its parent has not asked.
        started: When it began.
    """
    told = _told_by(descriptor) if descriptor >= 0 else None
    if told is None:
        with suppress(OSError, IndexError, ValueError):
            fields = stat_fields(pid)
            if fields[0] == "Z" and int(fields[_STARTED]) == started:
                return os.waitstatus_to_exitcode(int(fields[_STATUS]))
    return told


def _told_by(descriptor: int) -> int | None:
    told = bytearray(_INFO.size)
    _INFO.pack_into(told, 0, _EXIT, *[0] * 13)
    with suppress(OSError, AttributeError):  # A kernel that is older, or a system that has no such thing.
        fcntl.ioctl(descriptor, _GET_INFO, told, True)  # noqa: FBT003
        fields = _INFO.unpack(told)
        if fields[0] & _EXIT:
            return os.waitstatus_to_exitcode(fields[-1])
    return None
