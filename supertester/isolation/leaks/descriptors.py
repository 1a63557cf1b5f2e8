"""Files, sockets and other descriptors that a test has left open.

Python's objects are noted where they are made, so each is known by itself and whose it is. A bare number is known by
what it stands for (its device and inode) and by who was given it last, since numbers are used again. What C code opens
is seen by a count, which means something only for a test that runs alone.
"""

from __future__ import annotations

import builtins
import functools
import io
import logging
import os
import selectors
import socket
import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertester._core.origin import Origin
from supertester.context import IsolationContext
from supertester.isolation.births import births_of
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.leaks.leak import Leak, is_part_of, plainly

__all__ = ["count_open", "disown", "find", "is_noted", "is_of_grpc", "is_shared_memory", "target_of", "watch"]

_NUMBERS = ("open", "dup", "pipe", "pipe2", "openpty", "memfd_create", "eventfd", "pidfd_open")
"""Functions of ``os`` that return one or two descriptors."""
_SELECTORS = ("EpollSelector", "KqueueSelector", "DevpollSelector")
"""Classes of ``selectors`` whose objects have a descriptor of their own."""
_KEEPERS = frozenset(
    {
        ("futures", "process.py"),
        ("multiprocessing", "heap.py"),
        ("multiprocessing", "pool.py"),
        *(("multiprocessing", f"popen_{method}.py") for method in ("fork", "spawn_posix", "forkserver")),
    }
)
"""What keeps descriptors: child processes and pools, which are found as such, and the memory that all processes share,
which Python never gives back."""
_SERVERS = frozenset(
    {
        ("multiprocessing", "resource_tracker.py", "ensure_running"),
        ("multiprocessing", "forkserver.py", "ensure_running"),
        ("asyncio", "unix_events.py", "add_child_handler"),
    }
)
"""What starts servers for all of the program, or watches a child process."""


_OF_GRPC = frozenset({"anon_inode:[eventpoll]", "anon_inode:[eventfd]"})


@dataclass(slots=True)
class _Opening:
    """Something that was opened: an object, or a bare number, with all the numbers that it got in the same call.

    What belongs to no test is noted as well, so that its number is not taken for that of something else.
    """

    context: IsolationContext | None
    origin: Origin | None
    thing: weakref.ref[Any] | None = None
    identity: tuple[int, int] | None = None
    group: tuple[int, ...] = ()


_openings: dict[int, _Opening] = {}
"""What every descriptor stands for that a running test opened, by its number; the last one that was given it counts."""


def watch() -> None:
    """Note from now on what tests open."""
    install_once(_install)


def _install() -> Undo:
    opens = _noting_file(io.open)
    classes = [socket.socket, *(getattr(selectors, name) for name in _SELECTORS if hasattr(selectors, name))]
    undos = [replace_attribute(each, "__init__", _noting_object(each.__init__)) for each in classes]
    undos += [replace_attribute(os, name, _noting_numbers(getattr(os, name))) for name in _NUMBERS if hasattr(os, name)]
    if not sys.flags.warn_default_encoding and builtins.open is io.open:
        # That warning names the caller of `open`, which would be this module.
        undos += [replace_attribute(module, "open", opens) for module in (builtins, io)]
    return lambda: [undo() for undo in reversed(undos)]


def _noting_file(previous: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(previous)
    def open(*args: Any, **kwargs: Any) -> Any:
        file = previous(*args, **kwargs)
        context = owner()
        if kwargs.get("closefd", True) and len(args) < 7:  # The seventh is closefd.
            _note(context, file, None if context is None else Origin(2))
        return file

    open.__module__ = "io"  # Where pickle finds it.
    return open


def _noting_object(previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        previous(self, *args, **kwargs)
        context = owner()
        _note(context, self, None if context is None else Origin(2))

    return init


def _noting_numbers(previous: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(previous)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = previous(*args, **kwargs)
        context = owner()
        origin = None if context is None else Origin(2)
        if context is not None:
            births_of(context).opened = True
        group = result if isinstance(result, tuple) else (result,)
        for number in group:
            _openings[number] = _Opening(context, origin, None, _identity(number), group)
        return result

    return call


def _note(context: IsolationContext | None, thing: Any, origin: Origin | None) -> None:
    try:
        number = thing.fileno()
    except (OSError, ValueError):
        return  # It stands for none, like what an opener of its own may return.
    if context is not None:
        births_of(context).opened = True
    _openings[number] = _Opening(context, origin, weakref.ref(thing))


def _identity(number: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def disown(context: IsolationContext) -> None:
    """Let what a test that has ended had open belong to none."""
    if context.births is not None and context.births.opened:
        for opening in list(_openings.values()):
            if opening.context is context:
                opening.context = opening.origin = None


def is_noted(number: int) -> bool:
    """Say whether the descriptor with this number was opened by Python code."""
    opening = _openings.get(number)
    if opening is None:
        return False
    return _is_open_number(number, opening) if opening.thing is None else opening.thing() is not None


def count_open(context: IsolationContext) -> int:
    """Return how many of the open descriptors are noted as the test's."""
    return sum(each.context is context and is_noted(number) for number, each in list(_openings.items()))


# What is left -------------------------------------------------------------------------------------------------------


def find(context: IsolationContext, loop: Any) -> list[Leak]:
    """Return what the test has opened and not closed."""
    leaks = []
    for number, opening in sorted(_openings.copy().items(), key=lambda item: item[0]):
        if opening.context is not context:
            continue
        if opening.thing is None:
            if _is_open_number(number, opening) and not _is_kept(opening):
                leaks.append(_number_leak(number, opening))
        elif (thing := opening.thing()) is not None and _is_open(thing) and not _is_exempt(thing, opening, loop):
            leaks.append(_object_leak(thing, opening))
    return leaks


def _is_open_number(number: int, opening: _Opening) -> bool:
    return opening.identity is not None and _identity(number) == opening.identity


def _is_open(thing: Any) -> bool:
    try:
        return bool(thing.fileno() >= 0)
    except ValueError:
        return False  # A file or a selector that is closed, or a text file whose buffer was detached.


def _is_kept(opening: _Opening) -> bool:
    """Say whether the standard library keeps a descriptor: for its servers, or as long as there is the object."""
    assert opening.origin is not None
    callers = {(*Path(filename).parts[-2:], function) for filename, function in opening.origin.calls()}
    if any(caller[:2] in _KEEPERS or caller in _SERVERS for caller in callers):
        return True
    if any(caller[:2] == ("multiprocessing", "queues.py") for caller in callers):
        # A queue that nobody put anything into keeps one end when it is closed.
        return not all(_identity(number) == opening.identity for number in opening.group)
    return False


def _is_exempt(thing: Any, opening: _Opening, loop: Any) -> bool:
    return is_part_of(loop, thing) or _wakes_grpc(opening) or any(thing is stream for stream in _log_streams())


def _wakes_grpc(opening: _Opening) -> bool:
    """Say whether it is what the poller of ``grpc.aio`` wakes event loops by; there is one for all of the process."""
    assert opening.origin is not None
    return "grpc.aio" in sys.modules and any(
        Path(filename).parts[-3:-1] == ("grpc", "aio") for filename, _ in opening.origin.calls()
    )


def _log_streams() -> Iterable[Any]:
    """Yield the streams of log handlers: what configures logging for the whole program is not there for one test."""
    for reference in list(getattr(logging, "_handlerList", ())):
        handler = reference() if isinstance(reference, weakref.ref) else reference
        yield getattr(handler, "stream", None)


def _object_leak(thing: Any, opening: _Opening) -> Leak:
    what, name, shown = _described(thing)
    return Leak(
        kind="descriptors",
        thing=thing,
        names=(name,),
        message=lambda: (
            f"{what} {shown}{plainly(opening.origin, 'opened')} was left open; close it, or use it in a with statement"
        ),
        origin=opening.origin,
        has_ended=lambda: not _is_open(thing),
        is_ending=what != "file",
    )


def _described(thing: Any) -> tuple[str, str, str]:
    """Return what *thing* is, what it goes by, and how that is shown."""
    if isinstance(thing, socket.socket):
        name = _address(thing)
        return "socket", name, name
    if isinstance(thing, selectors.BaseSelector):
        return "selector", type(thing).__name__, type(thing).__name__
    name = getattr(thing, "name", "")
    if not isinstance(name, int):
        path = os.fsdecode(name) if isinstance(name, (str, bytes)) else repr(name)
        return "file", path, repr(path)
    target = target_of(name)
    return ("pipe", target, target) if target.startswith("pipe:") else ("file", target, repr(target))


def _address(thing: socket.socket) -> str:
    try:
        return str(thing.getsockname()) or repr(thing)
    except OSError:
        return repr(thing)


def _number_leak(number: int, opening: _Opening) -> Leak:
    target = target_of(number)
    return Leak(
        kind="descriptors",
        thing=number,
        names=(target,),
        message=lambda: (
            f"descriptor {number}, {target},{plainly(opening.origin, 'opened')} was left open; close it with os.close()"
        ),
        origin=opening.origin,
        has_ended=lambda: not _is_open_number(number, opening),
    )


def is_shared_memory(number: int) -> bool:
    """Say whether *number* is of the memory that ``multiprocessing`` shares among processes: an arena for all of it."""
    return Path(target_of(number)).name.startswith(f"pym-{os.getpid()}-")


def is_of_grpc(number: int) -> bool:
    """Say whether *number* is what gRPC polls with: opened for all of the process, and closed when it sees fit."""
    return "grpc._cython.cygrpc" in sys.modules and target_of(number) in _OF_GRPC


def target_of(number: int) -> str:
    """Return what *number* stands for, as the system shows it."""
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return f"descriptor {number}"
