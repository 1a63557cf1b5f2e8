"""What parent, zygote and workers have in common: forking, the signals that they use, what is handed to a worker."""

from __future__ import annotations

import os
import select
import signal
import sys
import warnings

__all__ = ["DESCRIPTORS", "DUMP", "RAISE", "die_with", "fork", "outlive", "signal_group"]

DESCRIPTORS = ("channel", "queue", "output", "dumps", "lifeline")
"""What the parent sends along when it asks for a worker."""


def _free_signal(number: int, otherwise: str) -> int | None:
    """Return a signal that hardly anybody uses: a real-time one where there are such."""
    if hasattr(signal, "SIGRTMAX"):
        return int(signal.SIGRTMAX) - number
    return getattr(signal, otherwise, None)


RAISE = _free_signal(3, "SIGXCPU")
DUMP = _free_signal(4, "SIGQUIT")


def fork() -> int:
    """Fork, without the warning that there are threads: what tests start when imported is their business."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def signal_group(pid: int, number: int) -> None:
    """Send the signal *number* to the process group of *pid*, if there still is one."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def die_with(lifeline: int) -> None:
    """Let the kernel kill this process group when the other end of the pipe *lifeline* is closed, by death too."""
    import fcntl

    if not hasattr(fcntl, "F_SETSIG"):
        return  # The zygote will do it.
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(1)  # It was closed before.


def outlive(lifeline: int) -> None:
    """Undo `die_with`."""
    import fcntl

    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) & ~os.O_ASYNC)
