"""Clocks of tests whose deadlines come when something has happened, and not before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def time_stands_still_until(begun: threading.Event) -> Iterator[None]:
    """Let no deadline of the running loop come before *begun*, however slow the machine is."""
    loop = asyncio.get_running_loop()
    clock, now = loop.time, loop.time()
    with mock.patch.object(loop, "time", lambda: clock() if begun.is_set() else now):
        yield
