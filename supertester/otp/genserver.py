"""`GenServer`: a server with state, driven by messages (chapter 3 of the rules)."""

from __future__ import annotations

import asyncio
import logging
from inspect import iscoroutinefunction
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

from supertester._core.clock import checked_timeout
from supertester.errors import StartFailed, UnknownMessage
from supertester.otp.messages import Call
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY, KILLED, TIMEOUT
from supertester.otp.refs import claim, holder_of
from supertester.otp.results import IGNORE
from supertester.otp.runtime import ProcessExited, Runtime, current, current_runtime

__all__ = ["GenServer", "spawn", "wait_started"]

_CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "handle_continue", "terminate")


class GenServer:
    """A server: subclass it and write the callbacks, each as ``def`` or ``async def``.

    One message is handled at a time, in the order of arrival. The state is ``self.state``; handlers change or rebind
    it. What they may return: for ``handle_call`` the reply; for all `NOREPLY`, ``Reply(...)``, ``Stop(...)``,
    ``Continue(...)``. An exception ends the server with reason ``Crash(exception)``.

    >>> class Counter(GenServer):
    ...     def init(self, start=0):
    ...         return start
    ...     def handle_call(self, request, sender):
    ...         return self.state
    ...     def handle_cast(self, message):
    ...         self.state += message
    >>> async def main():
    ...     counter = await Counter.start_link(40)
    ...     counter.cast(2)
    ...     return await counter.call("value")
    >>> asyncio.run(main())
    42
    """

    state: Any = None
    """Whatever `init` returned and the handlers made of it."""

    # An `init` that waits needs one from the start; else the first message begins it, since a task costs ten times as
    # much as all the rest of a start.
    _otp_begins_in_task: ClassVar[bool] = False
    _otp_needs_task: ClassVar[bool] = False
    _otp_supervises: ClassVar[bool] = False
    # Its handlers take their first step without a task, which only those of the library can stand.
    _otp_steps_eagerly: ClassVar[bool] = False
    _otp_checks: ClassVar[bool] = False

    if TYPE_CHECKING:

        async def _otp_enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    @classmethod
    def _otp_check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:  # noqa: ARG003
        """Refuse wrong arguments before a process exists; return the positional ones."""
        return args

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._otp_checks = cls._otp_check.__func__ is not GenServer._otp_check.__func__  # type: ignore[attr-defined]
        if cls._otp_supervises:
            cls._otp_steps_eagerly = all(_is_ours(getattr(cls, name)) for name in _CALLBACKS[1:])
        else:
            cls._otp_begins_in_task = iscoroutinefunction(cls.init)
            cls._otp_needs_task = any(iscoroutinefunction(getattr(cls, name)) for name in _CALLBACKS)

    # Callbacks ---------------------------------------------------------------------------------------------------

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first state; or `IGNORE`, ``Stop(...)``, ``Continue(arg, state=)``, ``Reply(state, timeout=)``.

        Gets the arguments of `start_link`. Whoever starts the server waits for it.
        """
        if args or kwargs:
            raise TypeError(
                f"{type(self).__qualname__} has no init(), so it takes no arguments, got {args!r} {kwargs!r}"
            )
        return None

    def handle_call(self, request: Any, sender: Call) -> Any:
        """Return the reply to *request*, or `NOREPLY` and call ``sender.reply(value)`` later."""
        raise UnknownMessage(f"{type(self).__qualname__} has no handle_call() for {request!r}")

    def handle_cast(self, message: Any) -> Any:
        """Handle a message that nobody waits for; return ``None`` or one of the special results."""
        raise UnknownMessage(f"{type(self).__qualname__} has no handle_cast() for {message!r}")

    def handle_info(self, message: Any) -> Any:
        """Handle what came by `send`, and `Exit`, `Down` and `TIMEOUT`. By default it is logged and forgotten."""
        logging.getLogger("supertester.otp").error(
            "%s received an unexpected message in handle_info: %r", type(self).__qualname__, message
        )

    def handle_continue(self, arg: Any) -> Any:
        """Go on after a ``Continue(arg)``, before any other message."""
        raise UnknownMessage(f"{type(self).__qualname__} has no handle_continue() for {arg!r}")

    def terminate(self, reason: Any) -> Any:
        """Tidy up. Called on ``Stop``, an exception, `stop`, and the parent's exit if exits are trapped; not on a kill.

        An exception here replaces the exit reason.
        """

    def format_status(self, status: dict[str, Any]) -> dict[str, Any]:
        """Change what `sys.get_status` shows, e.g. to hide secrets in the state."""
        return status

    # Starting ----------------------------------------------------------------------------------------------------

    @classmethod
    async def start_link(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Pid:
        """Start the server linked to the current process and wait until ``init`` is done.

        Args:
            *args: Passed to `init`.
            name: A name to register, free in this runtime.
            timeout: Seconds that `init` may take.
            **kwargs: Passed to `init`.

        Returns:
            The pid; or `IGNORE` if `init` said so.

        Raises:
            StartFailed: `init` failed or stopped (``reason`` says why), the name is taken
                (``("already_started", pid)``; `init` did not run), or it took too long (`TIMEOUT`).
        """
        here = current.get()
        if timeout is not None:
            checked_timeout(timeout)
        if isinstance(here, Process) and here.runtime.thread == get_ident():
            process = spawn(here.runtime, cls, args, kwargs, name, here, here)
        else:
            process = spawn(current_runtime(), cls, args, kwargs, name, None, None)
        if process.exit_reason is None and process.started is None:
            return process  # The commonest way out of `wait_started`, in line.
        return await wait_started(process, timeout)  # type: ignore[no-any-return]

    @classmethod
    async def start(cls, *args: Any, name: Any = None, timeout: float | None = None, **kwargs: Any) -> Pid:
        """Start the server without a link to the current process; otherwise like `start_link`."""
        here = current.get()
        if timeout is not None:
            checked_timeout(timeout)
        runtime = current_runtime()
        spawner = here if isinstance(here, Process) and here.runtime is runtime else None
        process = spawn(runtime, cls, args, kwargs, name, spawner, None)
        if process.exit_reason is None and process.started is None:
            return process
        return await wait_started(process, timeout)  # type: ignore[no-any-return]


def _is_ours(callback: Any) -> bool:
    return bool(callback.__module__.startswith(__package__ + "."))


def spawn(  # noqa: PLR0917  # The hottest start there is; keywords cost.
    runtime: Runtime,
    cls: type[GenServer],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: Any,
    spawner: Process | None,
    parent: Process | None,
) -> Process:
    """Make a process for *cls*, linked to its *parent*, and run its `init`, as far as that goes without waiting."""
    if spawner is not None and spawner.exit_reason is not None:
        raise ProcessExited(spawner.exit_reason)
    if cls._otp_checks:
        args = cls._otp_check(args, kwargs)
    if name is not None and (holder := holder_of(runtime, name)) is not None:
        raise StartFailed(("already_started", holder), module=cls, name=name)
    process = Process(runtime, cls(), spawner)
    if name is not None or runtime.on_spawn:
        try:
            if name is not None:
                claim(process, name)
            for callback in runtime.on_spawn:
                callback(process)
        except BaseException:
            process.never_was()
            raise
    if parent is not None:
        process.parent = parent
        process.link(parent)
    if cls._otp_begins_in_task:
        process.start_in_task(args, kwargs)
    else:
        process.context.run(process.start_plainly, args, kwargs)
    return process


async def wait_started(process: Process, timeout: float | None = None) -> Any:
    """Wait until `init` is done; return the pid or `IGNORE`, or raise `StartFailed`."""
    started = process.started
    if started is not None and not started.done():
        timer = None
        if timeout is not None and timeout != INFINITY:
            clock = process.runtime.clock
            timer = clock.call_at(clock.time() + timeout, _give_up, process)
        try:
            await asyncio.shield(started)  # Or the caller's cancellation would pass for the end of `init`.
        except BaseException:
            _give_up(process)  # The caller was cancelled; nothing may stay half started.
            raise
        finally:
            if timer is not None:
                timer.cancel()
    reason = process.exit_reason
    if not process.unborn:
        return process  # Dead by now, perhaps, but it did start.
    if process.parent is not None and process.parent.exit_reason is not None:
        raise ProcessExited(process.parent.exit_reason)  # The failed start has ended the starter too.
    if process.ignored:
        return IGNORE
    if process.gave_up and reason == KILLED:
        raise StartFailed(TIMEOUT, module=process.initial_call, name=process.name, timeout=timeout)
    raise StartFailed(reason, module=process.initial_call, name=process.name)


def _give_up(process: Process) -> None:
    if process.exit_reason is None and process.started is not None and not process.started.done():
        process.gave_up = True
        if process.parent is not None:
            process.unlink(process.parent)  # So that no stray exit signal follows (rule 12).
        process.die(KILLED)
