"""References: the many ways to say which process is meant (rule 1), and the registration of names."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from supertester._core.foreign import is_foreign
from supertester.errors import Unsupported, UsageError
from supertester.otp.elsewhere import PidElsewhere
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.runtime import Runtime, check_doomed, current_runtime

__all__ = ["Foreign", "Reference", "Via", "existing", "register", "resolve", "unregister", "whereis"]

Reference = Pid | Hashable | Callable[[], Any]
"""A `Pid`, a registered name, an object with a ``pid`` attribute, or a function without arguments that returns one."""


@dataclass(frozen=True, slots=True)
class Via:
    """A name that lives in a `Registry` instead of the runtime: OTP's ``{via, Registry, {registry, key}}``."""

    registry: Any
    key: Any


class Foreign:
    """A system that is no process of the runtime: a reference to it is none to a process, and no name of one."""

    __slots__ = ()


def resolve(target: Any) -> Process | None:
    """Return the process that *target* refers to, dead or alive, or ``None`` for a name that nobody has.

    Raises:
        TypeError: *target* can be no reference, e.g. ``None`` or a list.
        Unsupported: It is a target of another kind.
    """
    if target.__class__ is str:  # As most names are; it can be nothing else.
        return current_runtime().names.get(target)
    return target if isinstance(target, Process) else _followed(target)


def _followed(target: Any) -> Process | None:
    for _ in range(10):
        if isinstance(target, (Process, PidElsewhere)):
            return target  # type: ignore[return-value]  # Of which the latter says itself what it cannot do.
        if isinstance(target, Via):
            from supertester.otp.registry import Registry

            target = Registry.whereis(target.registry, target.key)
        elif isinstance(inner := getattr(target, "pid", None), Pid):
            target = inner
        else:
            named = _named(target)
            if named is not None or not callable(target):
                return named
            target = target()
        if target is None:
            return None
    raise UsageError(f"{target!r} goes on returning functions instead of a process")


def _named(target: Any) -> Process | None:
    """Return the process that has the name *target*, after a look whether it can be one."""
    nonsense = target is None or isinstance(target, (bool, float))
    try:
        named = current_runtime().names.get(target)
    except TypeError:
        named, nonsense = None, True
    if named is None:
        if isinstance(target, Foreign) or is_foreign(target):
            raise Unsupported(f"{target!r} is no process of supertester.otp, and this works with nothing else")
        if nonsense:
            raise TypeError(_no_reference(target))
    return named


def _no_reference(target: Any) -> str:
    return (
        f"{target!r} is no reference to a process; give a Pid, a registered name, or a function without arguments that "
        "returns one"
    )


def existing(target: Any, what: str) -> Process:
    """Return the live process that *target* refers to.

    Raises:
        UsageError: There is none; its ``reason`` is ``"noproc"``.
    """
    process = resolve(target)
    if process is None:
        raise UsageError(f"{what}: no process is registered as {target!r}", reason="noproc")
    if process.exit_reason is not None:
        raise UsageError(f"{what}: {process!r} is dead", reason="noproc")
    return process


def whereis(name: Any) -> Pid | None:
    """Return the process registered as *name*, or ``None``.

    Raises:
        TypeError: *name* can be no name.
    """
    if name.__class__ is str:
        return current_runtime().names.get(name)  # Which none but the living have.
    process = resolve(name)
    return process if process is not None and process.exit_reason is None else None


def register(pid: Pid, name: Any) -> None:
    """Give the live process *pid* the *name*.

    Raises:
        UsageError: The process is dead or has a name, or the name is taken; ``reason`` is then
            ``("already_registered", pid)``.
        TypeError: *pid* is no pid, or *name* can be no name.
    """
    if not isinstance(pid, Process):
        raise TypeError(f"register(pid, name) takes a Pid first, got {pid!r}")
    pid.runtime.check_thread("register")
    check_doomed()
    process = existing(pid, "register")
    if process.name is not None:
        raise UsageError(
            f"{process!r} is registered already; unregister({process.name!r}) first", reason=("already_registered", pid)
        )
    holder = holder_of(process.runtime, name)
    if holder is not None:
        raise UsageError(f"the name {name!r} is taken by {holder!r}", reason=("already_registered", holder))
    claim(process, name)


def unregister(name: Any) -> None:
    """Free the *name*.

    Raises:
        UsageError: Nobody has it.
    """
    process = whereis(name)
    if not isinstance(process, Process) or process.name != name:
        raise UsageError(f"no process is registered as {name!r}", reason="noproc")
    process.runtime.check_thread("unregister")
    check_doomed()
    if isinstance(name, Via):
        from supertester.otp.registry import Registry

        Registry.unregister(name.registry, name.key, pid=process)
    else:
        del process.runtime.names[name]
    process.name = None


def holder_of(runtime: Runtime, name: Any) -> Process | None:
    """Return who has *name* in *runtime*, after a check that it can be a name at all."""
    if name.__class__ is str:
        return runtime.names.get(name)
    if isinstance(name, Via):
        from supertester.otp.registry import Registry

        found = Registry.whereis(name.registry, name.key)
        return found if isinstance(found, Process) else None
    if name is None or isinstance(name, Pid):
        raise TypeError(f"a name is any hashable value but None and a Pid, got name={name!r}")
    try:
        return runtime.names.get(name)
    except TypeError:
        raise TypeError(f"a name must be hashable, got name={name!r}") from None


def claim(process: Process, name: Any) -> None:
    """Enter *name*, which is free, for *process*."""
    process.name = name
    if name.__class__ is not str and isinstance(name, Via):
        from supertester.otp.registry import Registry

        Registry.register(name.registry, name.key, pid=process)
    else:
        process.runtime.names[name] = process
