"""Threads and child processes that a test left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from supertester.isolation.contamination.difference import ABSENT, Difference, Resource, Since, is_ours
from supertester.isolation.contamination.kinds import irreversible
from supertester.isolation.identity import stamp_of

__all__ = ["RESOURCES"]

_RUNNING = irreversible("it is still running")


def _threads() -> frozenset[int]:
    return frozenset(map(id, threading.enumerate()))


def _thread_differences(before: frozenset[int], since: Since) -> Iterator[Difference]:
    executor = getattr(since.context.made("loop"), "_default_executor", None)
    of_loop = getattr(executor, "_threads", ())  # They end with the loop, after this.
    for thread in threading.enumerate():
        if id(thread) in before or thread in of_loop or is_ours(thread) or is_ours(getattr(thread, "_target", None)):
            continue
        _, line = stamp_of(thread)
        shown = f"{thread!r}" + (f", started at {line}" if line else "")
        yield Difference("threads", "absent", shown, partial(_RUNNING, None))


def _children() -> list[Any]:
    module = sys.modules.get("multiprocessing.process")
    if module is None:
        return []
    module._cleanup()
    return list(module._children)


def _child_differences(before: list[Any], since: Since) -> Iterator[Difference]:
    for child in _children():
        if child not in before:
            yield Difference.of("child processes of multiprocessing", ABSENT, child, partial(_RUNNING, None))


RESOURCES: list[Resource] = [
    Resource("threads", _threads, _thread_differences),
    Resource("child processes", _children, _child_differences),
]
