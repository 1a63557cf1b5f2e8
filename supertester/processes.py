"""Processes of a test: started, waited for, and cleaned up."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, overload

from supertester._core.evidence import history_of, shown, with_history
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe, unique_name
from supertester._core.waiting import Bell, checked_seconds, wait_until
from supertester.context import current_context
from supertester.env import DEFAULT, current_env
from supertester.errors import CallExit, StartFailed, UsageError, WaitTimeout
from supertester.otp import sys
from supertester.otp.genserver import GenServer
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY, KILL, SHUTDOWN, Crash
from supertester.otp.refs import Reference, resolve
from supertester.otp.results import IGNORE
from supertester.otp.runtime import Runtime, current_runtime
from supertester.otp.supervision import BaseSupervisor
from supertester.targets.adapting import foreign_target, referred
from supertester.targets.embedded import EmbeddedTarget
from supertester.targets.target import Target
from supertester.workers import check_succeeded, wait_for_successor

__all__ = [
    "ProcessMonitor",
    "check_always",
    "check_eventually",
    "check_process_alive",
    "check_process_dead",
    "check_process_restarted",
    "cleanup_on_exit",
    "cleanup_processes",
    "listening",
    "monitor_process_lifecycle",
    "setup_isolated_genserver",
    "setup_isolated_supervisor",
    "started_and_responsive",
    "wait_for_process_death",
    "wait_for_process_restart",
]

_SERVER_OPTIONS = ("timeout",)
_SUPERVISOR_OPTIONS = ("timeout", "strategy", "max_restarts", "max_seconds", "auto_shutdown", "max_children")


async def setup_isolated_genserver(
    cls: Any,
    test_name: str = "",
    *,
    init_args: Sequence[Any] = (),
    init_kwargs: Mapping[str, Any] | None = None,
    name: Any = None,
    factory: Callable[..., Any] | None = None,
    **start_options: Any,
) -> Pid:
    """Start a server as a child of the test, under a name of its own, to be stopped at the test's end.

    Args:
        cls: The `GenServer` class.
        test_name: Becomes part of the generated name.
        init_args: What its ``init`` gets.
        init_kwargs: And by keyword.
        name: The name to register, instead of a generated one.
        factory: Starts the server instead of ``cls.start_link``, with the same arguments; plain or async.
        start_options: ``timeout=`` seconds that ``init`` may take.

    Returns:
        The pid. It is tracked in the context of the running test, if there is one.

    Raises:
        StartFailed: It did not start, with ``kind``, ``module``, ``name``, ``init_args`` and ``reason``; a server that
            ignored its start has the reason `IGNORE`.
        TypeError: *cls* is no server class, *test_name* is no string, or there is no such option.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await setup_isolated_genserver(Agent, init_args=(5,))
    ...     return await Agent.get(agent)
    >>> asyncio.run(main())
    5
    """
    _check_class(cls, factory, GenServer, "a GenServer class")
    _check_options(start_options, _SERVER_OPTIONS, "setup_isolated_genserver")
    start = _Start("genserver", cls, init_args, init_kwargs or {}, name, factory)
    return await start.run(test_name, start_options)


async def setup_isolated_supervisor(
    cls: Any,
    test_name: str = "",
    *,
    init_args: Sequence[Any] = (),
    init_kwargs: Mapping[str, Any] | None = None,
    name: Any = None,
    factory: Callable[..., Any] | None = None,
    **start_options: Any,
) -> Pid:
    """Start a supervisor as a child of the test; otherwise like `setup_isolated_genserver`.

    Args:
        cls: The supervisor class; for `Supervisor` itself, *init_args* holds the list of its children.
        test_name: Becomes part of the generated name.
        init_args: What its ``init`` gets.
        init_kwargs: And by keyword.
        name: The name to register, instead of a generated one.
        factory: Starts the supervisor instead of ``cls.start_link``.
        start_options: ``timeout=``; and where the class's own ``init`` takes them: ``strategy max_restarts max_seconds
            auto_shutdown max_children``.
    """
    _check_class(cls, factory, BaseSupervisor, "a supervisor class")
    _check_options(start_options, _SUPERVISOR_OPTIONS, "setup_isolated_supervisor")
    start = _Start("supervisor", cls, init_args, init_kwargs or {}, name, factory)
    return await start.run(test_name, start_options)


def cleanup_on_exit(function: Callable[[], object]) -> None:
    """Call *function*, plain or async, at the end of the running test, or when the environment in force says so.

    Raises:
        TypeError: It cannot be called.
        UsageError: No test is running, and no environment was set.
    """
    if not callable(function):
        raise TypeError(f"a cleanup must be callable, got {function!r}; pass the function, not its result")
    context = current_context.get()
    env = context.env if context is not None and context.env is not None else DEFAULT
    (current_env() if env is DEFAULT else env).on_exit(function)


def _check_class(cls: Any, factory: Any, base: type, what: str) -> None:
    if factory is not None:
        if not callable(factory):
            raise TypeError(f"factory must be callable, got factory={factory!r}")
    elif not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"{what} is needed, got {cls!r}; for anything else pass factory=")
    elif base is GenServer and issubclass(cls, BaseSupervisor):
        raise TypeError(f"{cls.__qualname__} is a supervisor; start it with setup_isolated_supervisor()")


def _check_options(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for option in given:
        if option not in known:
            raise TypeError(
                f"{where}() got an unknown option {option!r}; the known ones are {', '.join(known)}; "
                "what init() is to get goes into init_args or init_kwargs"
            )


@dataclass
class _Start:
    """One start of a server, and what to say of it if it fails."""

    kind: str
    cls: Any
    init_args: Sequence[Any]
    init_kwargs: Mapping[str, Any]
    name: Any
    factory: Callable[..., Any] | None

    def __post_init__(self) -> None:
        if isinstance(self.init_args, (str, bytes)) or not isinstance(self.init_args, Sequence):
            given = self.init_args
            raise TypeError(f"init_args must be a sequence of arguments, got {given!r}; did you mean ({given!r},)?")

    async def run(self, test_name: str, options: Mapping[str, Any]) -> Pid:
        if not isinstance(test_name, str):
            raise TypeError(f"test_name must be a string, got {test_name!r}; what init() is to get goes into init_args")
        context = current_context.get()
        if self.name is None:
            test_id = context.test_id if context is not None else ""
            self.name = unique_name(describe(self.cls), test_name, test_id)
        factory = self.factory
        start = factory if factory is not None else self.cls.start_link
        named = {"name": self.name} if factory is None or _accepts_name(factory) else {}
        try:
            started = start(*self.init_args, **named, **options, **self.init_kwargs)
            pid = await started if inspect.isawaitable(started) else started
        except StartFailed as error:
            failure = self._failure(error.reason, timeout=error.timeout)
            raise failure from (failure.__cause__ or error)
        except Exception as error:
            if factory is None or isinstance(error, (UsageError, TypeError, AssertionError)) or _is_of_unittest(error):
                raise  # It was asked for something that makes no sense, or says itself what becomes of the test.
            raise self._failure(Crash(error)) from error
        if pid is IGNORE or pid is None:
            raise self._failure(IGNORE)
        if context is not None:
            context.track_process(pid, getattr(pid, "name", self.name), self.cls)
        return pid  # type: ignore[no-any-return]

    def _failure(self, reason: Any, *, timeout: float | None = None) -> StartFailed:
        return StartFailed(
            reason, kind=self.kind, module=self.cls, name=self.name, init_args=self.init_args, timeout=timeout
        )


def _is_of_unittest(error: Exception) -> bool:
    """Say whether *error* is to skip the test; `unittest` itself is nothing that is known here."""
    return any(cls.__module__.partition(".")[0] == "unittest" for cls in type(error).__mro__)


def _accepts_name(factory: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False
    return "name" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


# Waiting -------------------------------------------------------------------------------------------------------------


@contextmanager
def listening(runtime: Runtime) -> Iterator[Bell]:
    """Give a `Bell` that rings whenever a process of *runtime* starts, is ready, or ends."""
    bell = Bell()
    forgetters: list[Callable[[], object]] = []

    def spawned(process: Process) -> None:
        bell.ring()
        forgetters.append(process.on_exit(bell.ring))

    forgetters += [process.on_exit(bell.ring) for process in runtime]
    runtime.on_spawn.append(spawned)
    try:
        yield bell
    finally:
        runtime.on_spawn.remove(spawned)
        for forget in forgetters:
            forget()


async def started_and_responsive(process: Process, bell: Bell) -> bool:
    """Say whether *process* has started and handles messages; wait for that if it is busy, but not if it starts."""
    started = process.started
    if started is not None and not started.done():
        started.add_done_callback(bell.ring)
        return False
    try:
        await sys.sync(process, INFINITY)  # Whoever waits sets the limit.
    except CallExit:
        return False
    return process.is_alive()


async def wait_for_process_death(target: Reference | Target, timeout: float = 1.0) -> Any:
    """Wait until *target* is dead and return its exit reason, which is known for ever.

    Args:
        target: The process. A name that nobody has any more stands for the last process that died under it. What else
            `supertester.targets.target_of` makes a target of has the exit reasons that its adapter tells of.
        timeout: Seconds on the runtime's clock; 0 looks once.

    Raises:
        WaitTimeout: It lives.
        UsageError: It is a name that nobody has or had.
    """
    checked_seconds("timeout", timeout)
    if (foreign := foreign_target(target)) is not None:
        return await foreign.wait(timeout)
    process = _dead_or_alive(target, "wait_for_process_death")
    bell = Bell(certain=True)
    forget = process.on_exit(bell.ring)
    try:
        await wait_until(
            lambda: not process.is_alive(),
            f"the death of {process!r}",
            timeout=timeout,
            clock=process.runtime.clock,
            seen=lambda: with_history("it is alive", process),
            bell=bell,
        )
    finally:
        forget()
    return process.exit_reason


def _dead_or_alive(target: Any, what: str) -> Process:
    process = resolve(target)
    if process is not None:
        return process
    for death in reversed(current_runtime().deaths):
        if isinstance(death.pid, Process) and death.pid.name is not None and death.pid.name == target:
            return death.pid
    raise UsageError(f"{what}: no process is or was registered as {target!r}", reason="noproc")


@overload
async def wait_for_process_restart(name: Reference, original_pid: Pid, timeout: float = 1.0) -> Pid: ...
@overload
async def wait_for_process_restart(name: Any, original_pid: Target, timeout: float = 1.0) -> Target: ...
async def wait_for_process_restart(name: Any, original_pid: Pid | Target, timeout: float = 1.0) -> Pid | Target:
    """Wait until another process than *original_pid* has *name*, has started and answers; return it.

    Args:
        name: The registered name, or a function that returns the process. A pid stands for its name. For a worker of a
            pool, the pool.
        original_pid: The process that was to be replaced; or a `supertester.targets.Target`, and then so is the result.
        timeout: Seconds on the runtime's clock; 0 looks once.

    Raises:
        WaitTimeout: There was none; the message says who had the name last.
        UsageError: *name* is the pid of a process without a name: a pid never stands for another process.
    """
    checked_seconds("timeout", timeout)
    if isinstance(original_pid, Target):
        return await wait_for_successor(name, original_pid, timeout)
    original, name = _original(original_pid), _renewable(name)
    with listening(original.runtime) as bell:

        async def look() -> Process | None:
            process = resolve(name)
            if process is None or process is original or not process.is_alive():
                return None
            return process if await started_and_responsive(process, bell) else None

        return await wait_until(
            look,
            f"another process than {original!r} as {describe(name)}",
            timeout=timeout,
            clock=original.runtime.clock,
            seen=lambda: _holder(name, original),
            bell=bell,
        )


def _original(pid: Any) -> Process:
    if not isinstance(pid, Process):
        raise TypeError(f"original_pid must be the Pid of the process before the restart, got {pid!r}")
    return pid


def _renewable(name: Any) -> Any:
    if not isinstance(name, Pid):
        return name
    if name.name is None:
        raise UsageError(
            f"{name!r} is one process for ever and has no name; give a name, or a function that returns the process"
        )
    return name.name


def _holder(name: Any, original: Process) -> str:
    process = resolve(name)
    if process is None:
        return with_history(f"no process is registered as {describe(name)}", original)
    if process is original:
        return with_history(f"still {process!r}", process)
    state = "which does not answer" if process.is_alive() else "which is dead"
    return with_history(f"{process!r}, {state}", process, original)


class ProcessMonitor:
    """What `monitor_process_lifecycle` returns: await it for the exit reason, as often as you like."""

    def __init__(self, process: Process | Target) -> None:
        self._process = process

    @property
    def pid(self) -> Pid | Target:
        """The process, or what else it is."""
        return self._process

    @property
    def reason(self) -> Any:
        """Its exit reason; ``None`` while it is alive."""
        return self._process.exit_reason

    def __await__(self) -> Generator[Any, None, Any]:
        return wait_for_process_death(self._process, INFINITY).__await__()

    def __repr__(self) -> str:
        return f"<monitor of {self._process!r}>"


async def monitor_process_lifecycle(target: Reference | Target) -> ProcessMonitor:
    """Return an awaitable that gives the exit reason of *target* once it is dead.

    Raises:
        UsageError: It is a name that nobody has or had.
    """
    return ProcessMonitor(foreign_target(target) or _dead_or_alive(target, "monitor_process_lifecycle"))


# Ending --------------------------------------------------------------------------------------------------------------


async def cleanup_processes(targets: Iterable[Reference], *, timeout: float = 1.0) -> None:
    """Stop processes, the newest first, and kill what does not stop in *timeout* seconds; no failure stops the rest.

    What has one of the others as its ancestor is left to that one, as a supervisor would restart what is taken from it,
    and ended afterwards if it still lives. The dead, and names that nobody has, are no error. What else
    `supertester.targets.target_of` makes a target of, e.g. a ``Popen``, comes after the processes of `supertester.otp`,
    the last of the list first.

    Raises:
        WaitTimeout: Something does not even end when it is killed; the rest has been seen to.
        Unsupported: Something can neither be stopped nor killed, as a thread; the rest has been seen to.
    """
    checked_seconds("timeout", timeout)
    if isinstance(targets, (str, Pid)):
        raise TypeError(f"cleanup_processes() takes a list of processes, got {targets!r}; put it into a list")
    processes: set[Process] = set()
    others: list[Target] = []
    for target in targets:
        found = None
        with suppress(UsageError):  # It has ended, or never began.
            found = referred(target)
        if isinstance(found, Target) and not isinstance(found, EmbeddedTarget):
            others.append(found)
        elif (process := found.process if isinstance(found, EmbeddedTarget) else found) is not None:
            processes.add(process)
    newest_first = sorted(processes, key=lambda process: process.id, reverse=True)
    heads = [process for process in newest_first if processes.isdisjoint(process.ancestors())]
    for process in [*heads, *newest_first]:
        if process.is_alive():
            await _stop(process, timeout)
    await _end_all(others[::-1], timeout)


async def _end_all(targets: Sequence[Target], timeout: float) -> None:
    for target in targets:
        await _end(target, timeout)
    left = [target for target in targets if target.is_alive()]
    for target in left:
        if not target.supports("kill"):
            raise target.unsupported("kill")
    if left:
        raise WaitTimeout(f"cleanup_processes(): killed, but not ended within {timeout:g} s: {left}")


async def _end(target: Target, timeout: float) -> None:
    with suppress(Exception):  # It cannot, will not, or fails at it; killed it is in any case.
        await target.stop(timeout)
    if target.is_alive():
        with suppress(Exception):
            target.kill()
            await target.wait(timeout)


async def _stop(process: Process, timeout: float) -> None:
    try:
        await process.stop(SHUTDOWN, timeout)
    except CallExit:
        pass  # It ended otherwise, or not at all.
    finally:
        process.exit(KILL)


# Checks --------------------------------------------------------------------------------------------------------------


async def check_process_alive(target: Reference | Target, *, within: float = 0.0) -> Mismatch | None:
    """Say why *target* is not alive, or return ``None``.

    Args:
        target: The process, or what else `supertester.targets.target_of` makes a target of.
        within: Seconds that a name may take to be registered; 0 looks once.
    """
    checked_seconds("within", within)
    if (foreign := foreign_target(target)) is not None:
        return None if foreign.is_alive() else Mismatch(f"{foreign!r} is dead")
    runtime = current_runtime()
    with listening(runtime) as bell:
        try:
            await wait_until(
                lambda: (process := resolve(target)) is not None and process.is_alive(),
                "a process",
                timeout=within,
                clock=runtime.clock,
                bell=bell,
            )
        except WaitTimeout:
            process = resolve(target)
            if process is None:
                return Mismatch(f"no process is registered as {describe(target)}{_span(within)}")
            return Mismatch(f"{process!r} is dead", history_of(process))
    return None


async def check_process_dead(target: Reference | Target, *, within: float = 0.0) -> Mismatch | None:
    """Say that *target* is alive, or return ``None``; a name that nobody has is dead enough.

    Args:
        target: The process, or what else `supertester.targets.target_of` makes a target of.
        within: Seconds that it may take to die; 0 looks once.
    """
    checked_seconds("within", within)
    foreign = foreign_target(target)
    process = resolve(target) if foreign is None else foreign
    if process is None:
        return None
    try:
        await wait_for_process_death(process, within)
    except WaitTimeout:
        return Mismatch(f"{process!r} is alive{_span(within)}", history_of(process) if foreign is None else ())
    return None


async def check_process_restarted(name: Any, original_pid: Pid | Target, *, within: float = 0.0) -> Mismatch | None:
    """Say why *name* is not another, living process than *original_pid*, or return ``None``.

    Args:
        name: As for `wait_for_process_restart`.
        original_pid: The process before.
        within: Seconds that the restart may take; 0 looks once.
    """
    checked_seconds("within", within)
    if isinstance(original_pid, Target):
        return await check_succeeded(name, original_pid, within)
    original, name = _original(original_pid), _renewable(name)

    def restarted() -> bool:
        process = resolve(name)
        return process is not None and process is not original and process.is_alive()

    with listening(original.runtime) as bell:
        try:
            await wait_until(restarted, "a restart", timeout=within, clock=original.runtime.clock, bell=bell)
        except WaitTimeout:
            message = f"{describe(name)} was not restarted{_span(within)}: {_holder(name, original)}"
            return Mismatch(message)
    return None


def _span(within: float) -> str:
    return f" within {within:g} s" if within else ""


async def check_eventually(condition: Callable[[], Any | Awaitable[Any]], *, within: float = 5.0) -> Mismatch | None:
    """Say what *condition* returned last if it does not come true, or return ``None``.

    Args:
        condition: Plain or async, without arguments. An ``AssertionError`` in it counts as not true yet.
        within: Seconds on the runtime's clock; 0 looks once.
    """
    _check_condition(condition, "within", within)
    last: list[Any] = ["an unfinished look"]

    async def look() -> bool:
        value, holds = await _look(condition)
        last[0] = shown(value)
        return holds

    try:
        await wait_until(look, describe(condition), timeout=within, clock=current_runtime().clock)
    except WaitTimeout:
        return Mismatch(f"{describe(condition)} was not true{_span(within)}; last seen: {last[0]}", _deaths())
    return None


async def check_always(condition: Callable[[], Any | Awaitable[Any]], *, during: float) -> Mismatch | None:
    """Say when *condition* was not true and what it returned, or return ``None``.

    It is looked at several times, not all the time: what is untrue for a moment only can be missed.

    Args:
        condition: Plain or async, without arguments. An ``AssertionError`` in it counts as not true.
        during: Seconds on the runtime's clock; 0 looks once.
    """
    _check_condition(condition, "during", during)
    clock = current_runtime().clock
    start = clock.time()

    async def look() -> str | None:
        value, holds = await _look(condition)
        return None if holds else f"after {clock.time() - start:.3g} s; it gave {shown(value)}"

    try:
        violation = await wait_until(look, describe(condition), timeout=during, clock=clock)
    except WaitTimeout:
        return None
    return Mismatch(f"{describe(condition)} was not true {violation}", _deaths())


def _check_condition(condition: Any, name: str, seconds: float) -> None:
    if not callable(condition):
        raise TypeError(f"a condition must be callable, got {condition!r}; pass the function, not its result")
    checked_seconds(name, seconds)


async def _look(condition: Callable[[], Any]) -> tuple[Any, bool]:
    try:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
    except AssertionError as error:
        return error, False
    return value, bool(value)


def _deaths() -> list[str]:
    return [f"death of {death.pid!r}" for death in list(current_runtime().deaths)[-5:]]
