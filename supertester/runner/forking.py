"""What parent, zygote and workers have in common: forking, the signals that they use, what is handed to a worker."""

from __future__ import annotations

import os
import signal
import sys
import warnings

__all__ = ["DESCRIPTORS", "DUMP", "RAISE", "fork", "signal_group"]

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
