"""`target_of`: the one place that knows which adapter a thing needs."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from supertester._core.foreign import adapter_of, has_workers
from supertester.errors import UsageError
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import resolve
from supertester.otp.runtime import current_runtime
from supertester.targets.target import Target

if TYPE_CHECKING:
    from supertester.targets.os_process import ProcessTarget

__all__ = ["check_no_number", "foreign_target", "process_of", "referred", "target_of"]

_HOME = "supertester.targets"


def target_of(thing: Any) -> Target:
    """Return *thing* as a `Target`.

    Args:
        thing: A target; a task, a thread, a process, an executor, an actor or a pool, see the how-to pages; a process
            of `supertester.otp` or its name; or a function without arguments that returns one of these.

    Raises:
        UsageError: It is a name that nobody has.
        Unsupported: It is something that cannot be a target here.
        TypeError: There is no adapter for it.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     target = target_of(await Agent.start(0, name="agent"))
    ...     target.kill()
    ...     return await target.wait()
    >>> asyncio.run(main())
    KILLED
    """
    foreign = foreign_target(thing)
    if foreign is not None:
        return foreign
    if _stands_for_another(thing):
        return target_of(thing())
    from supertester.targets.embedded import EmbeddedTarget

    try:
        process = resolve(thing)
    except TypeError:
        raise TypeError(
            f"there is no adapter for {thing!r}; give a task, a thread, a process, an executor, an actor, a pool or a "
            "server, or make it a supertester.targets.Target"
        ) from None
    if process is None:
        raise UsageError(f"no process is registered as {_no_number(thing)}", reason="noproc")
    return EmbeddedTarget(process)


def check_no_number(thing: Any, what: str) -> None:
    """Refuse a number that is no process's name, as one of a process of the operating system is none.

    Raises:
        UsageError: It is one; the message says why it is not taken.
    """
    if isinstance(thing, int) and resolve(thing) is None:
        raise UsageError(f"{what}: no process is registered as {_no_number(thing)}", reason="noproc")


def _no_number(thing: Any) -> str:
    if not isinstance(thing, int):
        return repr(thing)
    return (
        f"{thing!r}, and a mere number means no process of the operating system, because it may be another's a moment "
        f"later; give psutil.Process({thing!r}), or what started the process"
    )


def foreign_target(thing: Any) -> Target | None:
    """Return *thing* as a `Target`, or ``None`` if it is a process of `supertester.otp`, its name, or unknown."""
    if isinstance(thing, Target):
        return thing
    if isinstance(thing, (str, Pid)):
        return None
    if found := adapter_of(thing):
        module, _, name = found.partition(".")
        adapter: Target = getattr(import_module(f"{_HOME}.{module}"), name)(thing)
        return adapter
    # What has a `Pid` is a process of the runtime.
    if has_workers(thing) and not isinstance(getattr(thing, "pid", None), Pid):
        from supertester.targets.pools import PoolTarget

        return PoolTarget(thing)
    return None


def referred(thing: Any) -> Target | Process | None:
    """Return the target of another kind that *thing* is, or else the process that it refers to, if there is one.

    A function without arguments stands for what it returns.

    Raises:
        TypeError: It can be no reference.
    """
    for _ in range(10):
        foreign = foreign_target(thing)
        if foreign is not None or not _stands_for_another(thing):
            return foreign or resolve(thing)
        thing = thing()
    raise UsageError(f"{thing!r} goes on returning functions instead of a target")


def _stands_for_another(thing: Any) -> bool:
    """Say whether it is a function to be called, and neither a process, nor the handle or the name of one."""
    if not callable(thing) or isinstance(thing, Pid) or isinstance(getattr(thing, "pid", None), Pid):
        return False
    try:
        return current_runtime().names.get(thing) is None
    except TypeError:  # It cannot be a name.
        return True


def process_of(thing: Any) -> ProcessTarget | None:
    """Return the process of the operating system that *thing* is, or that a server has for itself, or ``None``.

    A function without arguments stands for what it returns.
    """
    from supertester.targets.embedded import EmbeddedTarget
    from supertester.targets.os_process import ProcessTarget

    found = foreign_target(thing)
    if found is None and _stands_for_another(thing):
        return process_of(thing())
    if isinstance(found, ProcessTarget):
        return found
    server: Any = found.process if isinstance(found, EmbeddedTarget) else None
    if found is None:
        with suppress(TypeError):
            server = resolve(thing)
    number = getattr(server, "os_pid", 0)
    return None if number in (0, os.getpid()) else ProcessTarget(number, name=repr(server))
