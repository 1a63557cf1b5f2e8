"""`start_os_server`: a server in a process of the operating system, behind the same `Pid` as any other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Final

from supertester._core.clock import checked_timeout
from supertester.errors import StartFailed, Unsupported, UsageError
from supertester.otp.child_spec import ChildSpec
from supertester.otp.elsewhere import Reference, export
from supertester.otp.genserver import GenServer, wait_started
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.refs import claim, holder_of
from supertester.otp.runtime import ProcessExited, Runtime, current, current_runtime
from supertester.targets.os_server.arrival import Arrival, Handed
from supertester.targets.os_server.launch import FAMILY_MARK, START_METHODS, Launched, check_system, pickled
from supertester.targets.os_server.process import OsProcess
from supertester.targets.reaper import reaper

__all__ = ["os_child_spec", "start_os_server"]

_WITHOUT_A_WORD: Final = (
    "the process ended before it could say why; what it wrote to its standard error does. It imports the module that "
    "runs here as the main program once more, which must not run anything outside of `if __name__ == '__main__':`"
)


async def start_os_server(
    cls: type[GenServer],
    /,
    *args: Any,
    name: Any = None,
    timeout: float = 30.0,
    start_method: str = "spawn",
    **kwargs: Any,
) -> Pid:
    """Start a server in a process of the operating system, linked to the current process, and wait for its ``init``.

    What comes back is a `Pid` like any other: `call`, `cast`, `send`, links, monitors, supervisors, `sys` and
    `process_info` work with it. Messages, replies, and the state where it is asked for, are pickled on the way. Its
    exit reason is the server's own; or ``"signal SIGSEGV"``, ``"exit status 3"``, if the process ended without a word.
    ``pid.exit(KILL)`` is SIGKILL. Nothing is left even if this process is killed.

    Args:
        cls: The server, a class at the top of a module that the other process can import.
        *args: Passed to its ``init``.
        name: A name to register, here and there.
        timeout: Seconds that the start may take.
        start_method: How `multiprocessing` starts the process: ``"spawn"``, or ``"forkserver"``, which is faster once
            its server runs, and faster still with ``multiprocessing.set_forkserver_preload([...])``.
        **kwargs: Passed to ``init``.

    Returns:
        The pid; or `IGNORE` if ``init`` said so.

    Raises:
        StartFailed: ``init`` failed or stopped (``reason`` says why, with the traceback of the other process), the name
            is taken, or it took too long.
        UsageError: The class cannot be imported there, or an argument cannot be pickled.
        Unsupported: The system is not Linux, *cls* is a supervisor, or a schedule is being controlled, as by
            ``@explore``: it could not say when the other process goes on.

    Example::

        counter = await start_os_server(Counter, 5)
        assert await counter.call("value") == 5
        os.kill(process_info(counter).os_pid, signal.SIGSEGV)
    """
    what = _checked(cls, start_method)
    checked_timeout(timeout)
    here = current.get()
    linked = isinstance(here, Process) and here.runtime.thread == get_ident()
    runtime = here.runtime if linked else current_runtime()  # type: ignore[union-attr]
    spawner: Any = here if linked else None
    _check_free(runtime, what)
    if spawner is not None and spawner.exit_reason is not None:
        raise ProcessExited(spawner.exit_reason)
    name_there = name if isinstance(name, str) else None
    content = pickled(cls, (cls, args, kwargs, name_there, spawner))
    if name is not None and (holder := holder_of(runtime, name)) is not None:
        raise StartFailed(("already_started", holder), module=cls, name=name)
    process = OsProcess(runtime, cls, spawner)
    try:
        if name is not None:
            claim(process, name)
        for callback in runtime.on_spawn:
            callback(process)
        known_as: Reference = export(process)[1]
        arrive = partial(_arrival, known_as, content)
        process.begin(Launched(arrive, start_method, f"{cls.__qualname__} {process.id}", process.counters))
    except BaseException:
        process.never_was()
        raise
    if spawner is not None:
        process.parent = spawner
        process.link(spawner)
    try:
        return await wait_started(process, timeout)  # type: ignore[no-any-return]
    except StartFailed as error:
        if process.ended_without_a_word and not process.gave_up:
            error.add_note(_WITHOUT_A_WORD)
        raise


def _arrival(known_as: Reference, content: bytes, requests: int, answers: int, counters: int) -> Arrival:
    pipes = Handed(requests), Handed(answers)
    environment = {**reaper.environment(), FAMILY_MARK: f"{known_as[0]}-{known_as[1]}"}
    return Arrival(*pipes, Handed(counters), os.getpid(), known_as, environment, content)


def os_child_spec(
    id: Any,
    cls: type[GenServer],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> ChildSpec:
    """Return the `ChildSpec` of a server that has a process of the operating system for itself.

    A supervisor may have such children beside others; a restart starts a new process.

    Args:
        id: Its name among its siblings.
        cls: The server, as for `start_os_server`.
        args: What its ``init`` gets.
        kwargs: The same, and the options of `start_os_server`.
        **options: Those of `ChildSpec`: ``restart``, ``shutdown``, ``significant``.

    Example::

        await Supervisor.start_link([ChildSpec("cache", Cache), os_child_spec("model", Model, ("weights.bin",))])
    """
    given = {"start_method": "spawn", **(kwargs or {})}
    _checked(cls, given["start_method"])
    return ChildSpec(id, partial(start_os_server, cls), args, given, **{"modules": [cls], **options})


def _checked(cls: Any, start_method: Any) -> str:
    """Refuse what never works, and return what the caller is called in messages."""
    what = "start_os_server"
    if not isinstance(cls, type) or not issubclass(cls, GenServer):
        raise TypeError(f"{what}(cls, ...) takes a GenServer class first, got {cls!r}")
    if cls._otp_supervises:
        raise Unsupported(
            f"{what}: {cls.__qualname__} is a supervisor, whose children would be out of reach from here; let one here "
            "have children made with os_child_spec()"
        )
    if start_method not in START_METHODS:
        raise UsageError(
            f"start_method must be 'spawn' or 'forkserver', got start_method={start_method!r}; a fork of a process "
            "that runs an event loop or threads would inherit half of them"
        )
    check_system()
    return what


def _check_free(runtime: Runtime, what: str) -> None:
    """Refuse a runtime whose order of events somebody controls."""
    if getattr(runtime.loop, "explores", False) or runtime.seed is not None:
        raise Unsupported(
            f"{what}: this schedule is controlled, and nobody controls when another process of the operating system "
            "goes on; start the server with start_link() here"
        )
