"""Small programs that the tests start; what they share is that they never end by themselves."""

from __future__ import annotations

import sys

__all__ = ["BUSY_FAMILY", "DEAF", "ECHO", "FAMILY", "program"]

_FOREVER = "import signal\nwhile True: signal.pause()\n"

ECHO = "import sys\nfor line in sys.stdin: print('echo', line, end='', flush=True)\n"
"""Ends with its input."""
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n" + _FOREVER
FAMILY = f"""
import subprocess, sys
forever = {_FOREVER!r}
child = subprocess.Popen([sys.executable, "-c", forever])
stranger = subprocess.Popen([sys.executable, "-c", forever], start_new_session=True)
print("family", child.pid, stranger.pid, flush=True)
{_FOREVER}
"""
BUSY_FAMILY = FAMILY.replace(_FOREVER, "while True: pass\n")


def program(source: str = "", *, forever: bool = True) -> list[str]:
    """Return what starts a program with *source*."""
    return [sys.executable, "-u", "-c", source + ("\n" + _FOREVER if forever else "")]
