"""Programs that hear SIGINT, also where who runs the tests ignores it, as a job in the background of a shell does."""

from __future__ import annotations

import signal
import sys

__all__ = ["PYTHON"]

_HEARING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
)

PYTHON = [sys.executable]
"""Begins the command of a Python program; no code runs between the fork and the program, as gRPC may be in use."""
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    PYTHON = [sys.executable, "-ISc", _HEARING, sys.executable]
