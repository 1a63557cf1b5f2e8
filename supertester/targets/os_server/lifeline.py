"""Nobody is left behind: a process that was started for another ends with it, whatever that dies of."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import NoReturn

__all__ = ["end_at_once", "end_with"]


def end_with(pid: int) -> None:
    """Kill this process, and its group, when the process *pid* ends, or if it has.

    A thread waits for that, so it also happens while the program computes; not while it is stopped, or a library holds
    the interpreter.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        end_at_once()
    threading.Thread(target=_wait, args=(descriptor,), name="supertester-lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
    end_at_once()


def end_at_once() -> NoReturn:
    """Kill this process with its group."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
