"""What all the tests of a process share: a round of them has to leave it as it was."""

from __future__ import annotations

import asyncio
import gc
import locale
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["RESOURCES", "differences", "pipes", "snapshot"]

RESOURCES = frozenset({"threads", "file descriptors"})

_FDS = Path("/proc/self/fd")


def snapshot() -> dict[str, Any]:
    """Return what can be compared by `differences`."""
    root = logging.getLogger()
    loggers = {
        name: each for name, each in logging.Logger.manager.loggerDict.items() if isinstance(each, logging.Logger)
    }
    return {
        "environment": dict(os.environ),
        "current directory": str(Path.cwd()),
        "sys.path": list(sys.path),
        "standard streams": (id(sys.stdin), id(sys.stdout), id(sys.stderr)),
        "level of the root logger": root.level,
        "handlers of the root logger": [repr(handler) for handler in root.handlers],
        "handlers of loggers": {name: repr(each.handlers) for name, each in loggers.items() if each.handlers},
        "levels of loggers": {name: each.level for name, each in loggers.items() if each.level},
        "logging.disable": root.manager.disable,
        "filters of warnings": [each for each in warnings.filters if not _comes_by_itself(each)],
        "signal handlers": {number: repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "temporary directory": tempfile.gettempdir(),
        "locale": locale.setlocale(locale.LC_ALL),
        "event loop policy": id(asyncio.get_event_loop_policy()),
        "excepthook": repr(sys.excepthook),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "file descriptors": _descriptors(),
    }


def _comes_by_itself(item: Any) -> bool:
    """Tell whether a filter of warnings is from elsewhere.

    OpenTelemetry adds some when it is imported, and when a tracer is made. ``os.get_exec_path`` ignores `BytesWarning`
    for a moment, and Python up to 3.13 does not get over two threads that do so at once.
    """
    return "opentelemetry" in repr(item) or item[2] is BytesWarning


def _descriptors() -> list[str]:
    gc.collect()
    multiprocessing.active_children()  # Those that have ended are kept, with their pipes, until somebody asks.
    if not _FDS.is_dir():
        return []
    found = []
    for each in _FDS.iterdir():
        try:
            target = str(each.readlink())
        except FileNotFoundError:
            continue  # The one that lists the others.
        if not target.endswith("/fd"):  # The same, where another has its number by now.
            found.append(target.partition(":[")[0])
    return sorted(found)


def pipes() -> list[str]:
    """Say of each pipe of this process at which of its descriptors it is, and in which other processes."""
    if not _FDS.is_dir():
        return []
    here: dict[str, list[str]] = {}
    for each in _ends(_FDS):
        here.setdefault(each[0], []).append(each[1])
    found = []
    for name, numbers in sorted(here.items()):
        others = [
            _command(process)
            for process in Path("/proc").iterdir()
            if process.name.isdecimal() and int(process.name) != os.getpid()
            if any(each == name for each, _ in _ends(process / "fd"))
        ]
        found.append(f"{name} at {', '.join(numbers)}; also in {others}")
    return found


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes()
    except OSError:
        words = b"ended"
    return f"{process.name} {words.replace(bytes(1), b' ')[:200].decode(errors='replace')}"


def _ends(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        for each in folder.iterdir():
            with suppress(OSError):
                if (name := str(each.readlink())).startswith("pipe:"):
                    yield name, each.name
    except OSError:  # It has ended meanwhile, or is somebody else's.
        return


def differences(before: dict[str, Any], after: dict[str, Any], *, besides: Collection[str] = ()) -> list[str]:
    """Say what differs, one line for each thing, *besides* what is to be left out."""
    changed = [name for name in before if name not in besides and before[name] != after[name]]
    return [f"{name}: {_change(before[name], after[name])}" for name in changed]


def _change(before: Any, after: Any) -> str:
    if isinstance(before, list):
        gone, new = list(before), []
        for each in after:
            gone.remove(each) if each in gone else new.append(each)
        return f"new {new}, gone {gone}" if new or gone else f"in another order: {before} -> {after}"
    if isinstance(before, dict):
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return ", ".join(f"{key}: {before.get(key)!r} -> {after.get(key)!r}" for key in sorted(changed, key=str))
    return f"{before!r} -> {after!r}"
