"""Talking to servers: calls, casts, synchronisation, and what a state has to be.

No function here disturbs its server: synchronisation goes through the runtime and is seen by no handler.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from supertester._core.evidence import difference, history_of, shown, timed_out, with_history
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.outcome import Outcome
from supertester._core.waiting import checked_seconds
from supertester.errors import CallExit, MissingSyncHandler, UnknownMessage, Unsupported, WaitTimeout
from supertester.otp import sys
from supertester.otp.genserver import GenServer
from supertester.otp.pid import Pid
from supertester.otp.process import Process
from supertester.otp.reasons import NOPROC, TIMEOUT
from supertester.otp.refs import Reference, resolve
from supertester.otp.signals import call as otp_call
from supertester.targets.adapting import foreign_target

__all__ = [
    "SYNC",
    "TestableGenServer",
    "call_with_timeout",
    "cast_and_sync",
    "check_genserver_handles_message",
    "check_genserver_responsive",
    "check_genserver_state",
    "get_server_state_safely",
    "wait_for_genserver_sync",
]

SYNC: Final = "__supertester_sync__"
"""The synchronisation message of a `TestableGenServer`."""


# Foreign servers -----------------------------------------------------------------------------------------------------


class TestableGenServer:
    """Mixin for servers of other actor libraries: their ``handle_call`` answers `SYNC` before it sees anything else.

    `SYNC` is answered with ``"ok"``, ``(SYNC, {"return_state": True})`` with ``("ok", state)``. The state is the
    attribute ``state``. Servers of the embedded runtime need no mixin, but may have it.

    >>> class Actor(TestableGenServer):
    ...     state = 7
    ...     def handle_call(self, request, sender):
    ...         return "handled"
    >>> actor = Actor()
    >>> actor.handle_call(SYNC, None), actor.handle_call((SYNC, {"return_state": True}), None)
    ('ok', ('ok', 7))
    >>> actor.handle_call("request", None)
    'handled'
    """

    __test__ = False
    answers_sync = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The next handler after our own: the mixin may stand before the server in the list of bases.
        homes = (vars(base) for base in cls.__mro__ if base is not TestableGenServer)
        handler = next((home["handle_call"] for home in homes if "handle_call" in home), cls.handle_call)
        if not hasattr(handler, "answers_sync"):
            cls.handle_call = _answering(handler)  # type: ignore[method-assign]

    def handle_call(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse any other request."""
        raise UnknownMessage(f"{type(self).__qualname__} has no handle_call() for {request!r}")


def _answering(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return *handler* with an answer to the synchronisation message before it; async if it is."""
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def handle_call_async(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return _answer(self, request) if _is_sync(request) else await handler(self, request, *args, **kwargs)

        handle_call_async.answers_sync = True  # type: ignore[attr-defined]
        return handle_call_async

    @functools.wraps(handler)
    def handle_call(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        return _answer(self, request) if _is_sync(request) else handler(self, request, *args, **kwargs)

    handle_call.answers_sync = True  # type: ignore[attr-defined]
    return handle_call


def _is_sync(request: Any) -> bool:
    if isinstance(request, tuple) and len(request) == 2 and isinstance(request[1], dict):
        request = request[0]
    return isinstance(request, str) and request == SYNC


def _wants_state(request: Any) -> bool:
    return isinstance(request, tuple) and request[1].get("return_state") is True


def _answer(server: Any, request: Any) -> Any:
    return ("ok", getattr(server, "state", None)) if _wants_state(request) else "ok"


def _foreign(server: Any) -> Any:
    """Return how to talk to what is no process of the runtime: as it is, or by its target; ``None`` if it is one."""
    if isinstance(server, (Process, type)) or isinstance(getattr(server, "pid", None), Process):
        return None
    has_method = callable(getattr(server, "cast", None)) or callable(getattr(server, "handle_call", None))
    return server if has_method else foreign_target(server)


def _barrier_of(server: Any) -> Callable[[float], Any]:
    """Return the function that synchronises with a foreign server.

    Raises:
        MissingSyncHandler: It has none.
    """
    if callable(sync := getattr(server, "sync", None)):
        return lambda timeout: sync(timeout=timeout)
    if getattr(server, "answers_sync", None) is True and callable(call := getattr(server, "call", None)):
        return lambda timeout: call(SYNC, timeout)
    raise MissingSyncHandler(
        f"{server!r} cannot be synchronised with; let its class have TestableGenServer and its handle the attribute "
        "answers_sync = True, or give it a method sync(timeout). It was left untouched"
    )


def _method(server: Any, name: str) -> Callable[..., Any]:
    method: Callable[..., Any] | None = getattr(server, name, None)
    if not callable(method):
        raise Unsupported(f"{server!r} has no {name}(), which this needs. It was left untouched")
    return method


async def _value(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


# Asking --------------------------------------------------------------------------------------------------------------


async def get_server_state_safely(server: Reference, timeout: float = 5.0) -> Outcome[Any]:
    """Return the server's state itself, no copy; or the error ``NOPROC``, ``TIMEOUT`` or its exit reason."""
    checked_seconds("timeout", timeout)
    try:
        return Outcome(await sys.get_state(server, timeout))
    except CallExit as error:
        return Outcome(error=error.reason)


async def call_with_timeout(server: Reference, request: Any, timeout: float = 1.0) -> Outcome[Any]:
    """Call *server* and return the reply; or the error ``NOPROC``, ``TIMEOUT`` or its exit reason.

    Raises:
        Unsupported: It is something that cannot be called.
    """
    checked_seconds("timeout", timeout)
    if (foreign := _foreign(server)) is not None:
        call = _method(foreign, "call")
        try:
            return Outcome(await _value(call(request, timeout)))
        except Exception as error:  # noqa: BLE001 - whatever a foreign server's library raises
            return Outcome(error=error)
    try:
        return Outcome(await otp_call(server, request, timeout))
    except CallExit as error:
        return Outcome(error=error.reason)


# Synchronising -------------------------------------------------------------------------------------------------------


async def wait_for_genserver_sync(server: Reference, timeout: float = 1.0) -> Pid:
    """Wait until *server* has handled every message sent to it so far; return its pid.

    Works on every server of the embedded runtime; no handler sees it.

    Raises:
        WaitTimeout: It is too busy, or suspended; the message shows its last messages.
        CallExit: It is dead, unknown, or died meanwhile.
        MissingSyncHandler: It is a foreign server that cannot be synchronised with.
    """
    checked_seconds("timeout", timeout)
    if (foreign := _foreign(server)) is not None:
        await _value(_barrier_of(foreign)(timeout))
        return server  # type: ignore[return-value]
    process = _target(server, "wait_for_genserver_sync", None, timeout)
    await _explained(process, sys.sync(process, timeout), "it was to handle its messages", timeout)
    return process


async def cast_and_sync(server: Reference, message: Any, sync_message: Any = SYNC, *, timeout: float = 1.0) -> Any:
    """Cast *message* to *server* and wait until it is handled.

    Args:
        server: The server.
        message: The cast.
        sync_message: A request of your own to synchronise with, instead of the runtime's barrier.
        timeout: Seconds on the runtime's clock.

    Returns:
        ``None``, or the reply to a *sync_message* of your own.

    Raises:
        WaitTimeout: It was not handled in time.
        CallExit: The server is dead, unknown, or died of it, with its exit reason.
        MissingSyncHandler: It has nothing to synchronise with; it was left alive and untouched.
    """
    checked_seconds("timeout", timeout)
    if (foreign := _foreign(server)) is not None:
        return await _cast_and_sync_foreign(foreign, message, sync_message, timeout)
    try:
        process = _target(server, "cast_and_sync", message, timeout)
    except (CallExit, TypeError) as error:
        if isinstance(server, (str, bytes, int, float, tuple, frozenset, Enum, Pid, type(None))) or callable(server):
            raise
        raise MissingSyncHandler(f"{server!r} is no server of the embedded runtime and has no cast()") from error
    barrier = _is_sync(sync_message)
    if not barrier and getattr(type(process.server), "handle_call", None) is GenServer.handle_call:
        raise MissingSyncHandler(
            f"{process!r} has no handle_call() for {sync_message!r}; leave sync_message out. It was left untouched"
        )
    process.cast(message)
    if not barrier:
        return await _explained(process, process.call(sync_message, timeout), _to_handle(message), timeout)
    # A suspended server tells its state out of turn, so the barrier comes first in any case.
    await _explained(process, sys.sync(process, timeout), _to_handle(message), timeout)
    if not _wants_state(sync_message):
        return None
    return "ok", await _explained(process, sys.get_state(process, timeout), "it was to tell its state", timeout)


async def _cast_and_sync_foreign(server: Any, message: Any, sync_message: Any, timeout: float) -> Any:
    barrier, cast = _barrier_of(server), _method(server, "cast")
    if _is_sync(sync_message) and not _wants_state(sync_message):
        await _value(cast(message))
        await _value(barrier(timeout))
        return None
    call = _method(server, "call")
    await _value(cast(message))
    return await _value(call(sync_message, timeout))


def _to_handle(message: Any) -> str:
    return f"it was to handle the cast {shown(message)}"


def _target(server: Any, function: str, message: Any, timeout: float) -> Process:
    process = resolve(server)
    if process is None:
        raise CallExit(NOPROC, (function, server, message, timeout))
    if not process.is_alive():
        error = CallExit(NOPROC, (function, process, message, timeout))
        error.add_note(with_history("what it had been through:", process))
        raise error
    return process


async def _explained(process: Process, work: Awaitable[Any], what: str, timeout: float) -> Any:
    """Await *work* and add the history of *process* to its failure."""
    try:
        return await work
    except CallExit as error:
        if error.reason == TIMEOUT and process.is_alive():
            suspended = " but is suspended" if process.suspended else ""
            message = f"timed out after {timeout:g} s waiting for {process!r}: {what}{suspended}"
            raise timed_out(message, process) from None
        error.add_note(with_history("what it had been through:", process))
        raise


# Checks --------------------------------------------------------------------------------------------------------------


async def check_genserver_state(server: Reference, expected: Any, *, timeout: float = 5.0) -> Mismatch | None:
    """Say how the state of *server* differs from *expected*, or return ``None``.

    Args:
        server: The server.
        expected: A value to equal; or a predicate, plain or async, that gets the state.
        timeout: Seconds that the server may take to answer.
    """
    outcome = await get_server_state_safely(server, timeout)
    process = resolve(server)
    if not outcome.ok:
        return _unreadable(server, "the state", outcome.error)
    state = outcome.value
    if callable(expected):
        if await _value(expected(state)):
            return None
        message = f"the state of {process!r} does not satisfy {describe(expected)}: {shown(state)}"
        return Mismatch(message, history_of(process))
    if state == expected:
        return None
    message = f"the state of {process!r} is not as expected (- expected, + actual):\n{difference(expected, state)}"
    return Mismatch(message, history_of(process))


async def check_genserver_responsive(server: Reference, *, timeout: float = 1.0) -> Mismatch | None:
    """Say why *server* handles no messages, or return ``None``. It sees nothing of this."""
    try:
        await wait_for_genserver_sync(server, timeout)
    except CallExit as error:
        return _unreadable(server, "an answer", error.reason)
    except WaitTimeout as error:
        return Mismatch(str(error))
    return None


async def check_genserver_handles_message(
    server: Reference, request: Any, expected: Any, *, timeout: float = 1.0
) -> Mismatch | None:
    """Say how the reply of *server* to *request* differs from *expected*, or return ``None``."""
    outcome = await call_with_timeout(server, request, timeout)
    if not outcome.ok:
        return _unreadable(server, f"a reply to {shown(request)}", outcome.error)
    if outcome.value == expected:
        return None
    process = resolve(server) if _foreign(server) is None else None
    message = f"the reply of {process or server!r} to {shown(request)} is not as expected (- expected, + actual):\n"
    return Mismatch(message + difference(expected, outcome.value), history_of(process))


def _unreadable(server: Any, what: str, reason: Any) -> Mismatch:
    process = resolve(server) if _foreign(server) is None else None
    if process is None and reason == NOPROC:
        return Mismatch(f"no process is registered as {describe(server)}")
    return Mismatch(f"{process or server!r} did not give {what}: {shown(reason)}", history_of(process))
