"""The state of the process: its environment, current directory, locale, time zone, signals."""

from __future__ import annotations

import locale
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from supertester.isolation.contamination.difference import CannotRestore, Difference, Resource, Since
from supertester.isolation.contamination.kinds import contents, each, irreversible, slot
from supertester.isolation.contamination.showing import changed_lines, shown

__all__ = ["RESOURCES"]


def _cwd() -> str:
    try:
        return str(Path.cwd())
    except OSError as error:
        return f"gone ({error.strerror})"


def _umask() -> str:
    mask = os.umask(0o077)
    os.umask(mask)
    return f"0o{mask:03o}"


_CATEGORIES = [name for name in dir(locale) if name.startswith("LC_") and name != "LC_ALL"]


def _locales() -> dict[str, str]:
    return {name: locale.setlocale(getattr(locale, name)) for name in _CATEGORIES}


def _put_zone(zone: Any) -> None:
    # The environment has been restored by now.
    time.tzset()
    if (time.tzname, time.timezone) != zone:
        raise CannotRestore("the environment variable TZ does not say it")


# Files in the current directory ---------------------------------------------------------------------------------------

_OF_TOOLS = ("__pycache__", ".hypothesis", ".coverage", ".pytest_cache", ".mypy_cache", ".ruff_cache")


def _files() -> tuple[str, list[str]]:
    folder = _cwd()
    return folder, _names(folder)


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith(_OF_TOOLS))  # noqa: PTH208 - names
    except OSError:
        return []


def _file_differences(before: tuple[str, list[str]], since: Since) -> Iterator[Difference]:
    folder, names = before
    now = _names(folder)
    if now != names:
        put = irreversible("files are left as they are; let the test work in a temporary folder")
        added, removed = sorted(set(now) - set(names)), sorted(set(names) - set(now))
        was, after = f"{len(names)} entries", f"{len(now)}: {shown(added)} added, {shown(removed)} removed"
        yield Difference(f"the files in {folder}", was, after, partial(put, None), changed_lines(removed, added))


# Signals --------------------------------------------------------------------------------------------------------------


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _put_handler(number: int, handler: Any) -> None:
    if handler is None:
        raise CannotRestore("its handler was not set from Python")
    if not _in_main_thread():
        raise CannotRestore("handlers of signals can be set in the main thread only")
    signal.signal(number, handler)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_TIMERS = {
    "ITIMER_REAL": signal.ITIMER_REAL,
    "ITIMER_VIRTUAL": signal.ITIMER_VIRTUAL,
    "ITIMER_PROF": signal.ITIMER_PROF,
}


def _armed() -> dict[str, bool]:
    return {name: any(signal.getitimer(which)) for name, which in _TIMERS.items()}


def _put_armed(name: str, armed: bool) -> None:  # noqa: FBT001 - a value to restore
    if armed:
        raise CannotRestore("when it was to fire is not known")
    signal.setitimer(_TIMERS[name], 0)


def _mask() -> frozenset[int]:
    return frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


RESOURCES: list[Resource] = [
    contents("os", "environ"),
    slot("the current directory", _cwd, os.chdir),
    Resource("files", _files, _file_differences),
    slot("the umask", _umask, lambda mask: os.umask(int(mask, 8))),
    each("locale", _locales, lambda name, value: locale.setlocale(getattr(locale, name), value), "locale.{}".format),
    slot("the time zone", lambda: (time.tzname, time.timezone), _put_zone),
    each("signals", _handlers, _put_handler, lambda number: f"the handler of {_signal_name(number)}"),
    slot("the mask of blocked signals", _mask, lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask)),
    each("timers", _armed, _put_armed, lambda name: f"whether {name} is armed"),
]
