"""`process_info`: what a process is doing, seen from outside without disturbing it (rule 20)."""

from __future__ import annotations

import sys as python
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from supertester._core.awaits import frames_of
from supertester.otp.messages import System, payload_of
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import resolve
from supertester.otp.root import Root

__all__ = ["ProcessDetails", "deep_size", "process_info"]

_MAX_OBJECTS = 100_000


@dataclass(frozen=True, kw_only=True)
class ProcessDetails:
    """What `process_info` returns; each field can also be read as ``details["field"]``."""

    pid: Pid
    registered_name: Any
    initial_call: Any
    """The server's class."""
    status: str
    """``"waiting"``, ``"runnable"`` (has messages), ``"running"`` (in a handler) or ``"suspended"``."""
    current_function: tuple[str, ...]
    """Where the handler waits, as ``module.function:line``: the chain of awaits, outermost first."""
    message_queue_len: int
    messages: tuple[Any, ...]
    """A copy of the mailbox, oldest first."""
    messages_in: int
    """Messages that ever arrived."""
    reductions: int
    """Messages handled so far: the work done, as a count that is the same in every run."""
    late_replies: int
    """Replies that came after their caller's timeout."""
    links: tuple[Pid, ...]
    monitors: tuple[Any, ...]
    """Whom it monitors."""
    monitored_by: tuple[Pid, ...]
    trap_exit: bool
    parent: Pid | None
    ancestors: tuple[Pid, ...]
    """Who started it, who started that, and so on."""
    os_pid: int
    """The operating system's number of the process that its code runs in."""
    dictionary: Mapping[str, Any]
    """The values of the context variables that hold in the process."""

    _weighed: tuple[Any, ...]

    @property
    def memory(self) -> int:
        """Bytes of its state and mailbox, as they are when this is read: an estimate that follows references."""
        return deep_size(*self._weighed)

    @property
    def callers(self) -> tuple[Pid, ...]:
        """On whose behalf it runs; the same as `ancestors`."""
        return self.ancestors

    def __getitem__(self, field: str) -> Any:
        try:
            return getattr(self, field)
        except AttributeError:
            raise KeyError(field) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with pids and other objects as their ``repr``."""
        return {
            key: value if isinstance(value, (int, str, bool, type(None))) else repr(value)
            for key, value in asdict_shallow(self).items()
        }


def asdict_shallow(details: ProcessDetails) -> dict[str, Any]:
    """Return the fields without copying their values."""
    names = [name for name in ProcessDetails.__dataclass_fields__ if not name.startswith("_")]
    return {name: getattr(details, name) for name in [*names, "memory"]}


def process_info(target: Any) -> ProcessDetails | None:
    """Return what *target* is doing, or ``None`` if it is dead or unknown. Does not disturb it, nor ask it."""
    process = resolve(target)
    if process is None or process.exit_reason is not None:
        return None
    queue = [entry for entry in list(process.queue) if not isinstance(entry, System)]
    state = None if process.server is None else process.server.state
    return ProcessDetails(
        pid=process,
        registered_name=process.name,
        initial_call=process.initial_call,
        status=_status(process),
        current_function=_where(process),
        message_queue_len=len(queue),
        messages=tuple(payload_of(entry)[1] for entry in queue),
        messages_in=process.handled + len(queue),
        reductions=process.handled,
        late_replies=process.late_replies,
        links=tuple(process.links or ()),
        monitors=tuple((process.monitors or {}).values()),
        monitored_by=tuple(watcher for watcher, _ in (process.watchers or {}).values()),
        trap_exit=process.trap_exit,
        parent=process.parent,
        ancestors=tuple(process.ancestors()),
        os_pid=process.os_pid,
        dictionary=process.variables(),
        _weighed=(state, [payload_of(entry)[1] for entry in queue]),
    )


def _status(process: Process) -> str:
    if isinstance(process, Root):
        return "waiting"
    if process.current is not None:
        return "running"
    if process.suspended:
        return "suspended"
    return "runnable" if process.queue or process.scheduled else "waiting"


def _where(process: Process) -> tuple[str, ...]:
    found = []
    for steps, frame in frames_of(process.steps):
        name = getattr(steps, "__qualname__", frame.f_code.co_name)
        found.append(f"{frame.f_globals.get('__name__', '?')}.{name}:{frame.f_lineno}")
    return tuple(found)


def deep_size(*roots: Any) -> int:
    """Estimate the bytes of *roots* and all that they refer to; not of classes, modules, functions, processes."""
    skip = (type, type(python), type(deep_size), Pid)
    seen: set[int] = set()
    todo = list(roots)
    total = 0
    while todo and len(seen) < _MAX_OBJECTS:
        item = todo.pop()
        if id(item) in seen or isinstance(item, skip):
            continue
        seen.add(id(item))
        total += python.getsizeof(item, 0)
        try:
            todo.extend(_parts(item))
        except Exception:  # noqa: BLE001  # A lazy mapping, say, whose source is gone: it weighs what it weighs.
            continue
    return total


def _parts(item: Any) -> Iterable[Any]:
    if isinstance(item, Mapping):
        return [*item.keys(), *item.values()]
    if isinstance(item, (list, tuple, set, frozenset, deque)):
        return list(item)
    return [vars(item)] if hasattr(item, "__dict__") else []
