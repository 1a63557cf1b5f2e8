"""Processes of a test: started, waited for, and cleaned up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertester._core.naming import describe, unique_name
from supertester.context import current_context
from supertester.env import DEFAULT, current_env
from supertester.errors import StartFailed
from supertester.otp.genserver import GenServer
from supertester.otp.pid import Pid
from supertester.otp.results import IGNORE
from supertester.otp.supervision import BaseSupervisor

__all__ = ["cleanup_on_exit", "setup_isolated_genserver", "setup_isolated_supervisor"]

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
        TypeError: *cls* is no server class, or there is no such option.

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
            failure = self._failure(error.reason)
            raise failure from (failure.__cause__ or error)
        if pid is IGNORE or pid is None:
            raise self._failure(IGNORE)
        if context is not None:
            context.track_process(pid, getattr(pid, "name", self.name), self.cls)
        return pid  # type: ignore[no-any-return]

    def _failure(self, reason: Any) -> StartFailed:
        return StartFailed(reason, kind=self.kind, module=self.cls, name=self.name, init_args=self.init_args)


def _accepts_name(factory: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False
    return "name" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
