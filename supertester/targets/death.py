"""The end of a child process, as an event: from the descriptor of the process, or else from a thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

__all__ = ["told_of_death"]


@contextmanager
def told_of_death(process: subprocess.Popen[Any], tell: Callable[[], object]) -> Iterator[None]:
    """Call *tell* in the running loop when *process* has ended, if that happens in the body."""
    loop = asyncio.get_running_loop()
    descriptor = _descriptor_of(process.pid)
    if descriptor is None:
        _watch_in_a_thread(process, loop, tell)
        yield
        return
    loop.add_reader(descriptor, tell)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _descriptor_of(pid: int) -> int | None:
    opened = getattr(os, "pidfd_open", None)
    if opened is None:
        return None
    try:
        return int(opened(pid))
    except OSError:  # It has been waited for already, or the system has no such descriptors.
        return None


def _watch_in_a_thread(
    process: subprocess.Popen[Any], loop: asyncio.AbstractEventLoop, tell: Callable[[], object]
) -> None:
    def watch() -> None:
        process.wait()
        with suppress(RuntimeError):  # The loop is closed, and nobody waits any more.
            loop.call_soon_threadsafe(tell)

    Thread(target=watch, name=f"supertester-wait-{process.pid}", daemon=True).start()
