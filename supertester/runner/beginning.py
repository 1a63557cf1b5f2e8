"""How a process becomes a worker, whether it was forked or spawned."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from supertester.runner import frames
from supertester.runner.capture import Capture
from supertester.runner.declared import DeclaredTest
from supertester.runner.farewell import leave
from supertester.runner.forking import die_with
from supertester.runner.ladder import listen_for_dumps
from supertester.runner.plan import Settings
from supertester.runner.queue import take
from supertester.runner.worker import run_worker

__all__ = ["Found", "Given", "be_worker"]

Given = Mapping[str, int]
"""The descriptors of a worker, by the names of `DESCRIPTORS`."""
Found = tuple[Sequence[DeclaredTest], Callable[[DeclaredTest], Any]]
"""The tests of a plan, by position, and what finds the test itself."""


def be_worker(given: Given, settings: Settings, find: Callable[[], Found]) -> NoReturn:
    """Run units until there are no more; the body of a process.

    Args:
        given: Its descriptors.
        settings: How to run the tests.
        find: Finds the tests.
    """
    status = 1
    try:
        os.setpgid(0, 0)
        _prepare(given)
        capture = Capture(given["output"])
        tests, object_of = find()
        channel = socket.socket(fileno=given["channel"])
        frames.send(channel, ("ready", 0))
        run_worker(
            channel,
            lambda before_waiting: take(given["queue"], before_waiting),
            tests,
            object_of,
            settings=settings,
            capture=capture,
            dumps=given["dumps"],
        )
        status = 0
    finally:
        if status:
            sys.excepthook(*sys.exc_info())
        leave(status)


def _prepare(given: Given) -> None:
    """Make this process a worker: its output captured, its input empty, its life tied to that of the run."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for descriptor in (1, 2):
        os.dup2(given["output"], descriptor)
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    listen_for_dumps(given["dumps"])
    die_with(given["lifeline"])
