"""Interceptors on delivery: see, drop, double or replace the messages on their way into a mailbox (rule 36)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from supertester.otp.messages import ENVELOPES, Barrier, Call, CastBox, Info, System, Terminate, payload_of
from supertester.otp.process import Process
from supertester.otp.refs import existing
from supertester.otp.runtime import check_doomed

__all__ = ["deliver_past", "intercept", "intercept_entries", "observe_entries"]

_INTERNAL = frozenset({System, Barrier, Terminate})


@contextmanager
def intercept(target: Any, fn: Callable[[Any], Iterable[Any]]) -> Iterator[None]:
    """While the block runs, deliver what ``fn(message)`` returns instead of each message to *target*.

    ``[]`` drops a message, ``[message, message]`` doubles it. Each message is delivered as what it came as: a call
    stays that call, and a second reply to it is dropped. Requests of `supertester.otp.sys` and of `stop` are not
    intercepted.

    >>> import asyncio
    >>> from supertester.otp import Agent, until_idle
    >>> async def main():
    ...     agent = await Agent.start_link(0)
    ...     with intercept(agent, lambda message: [message, message]):
    ...         Agent.cast(agent, lambda n: n + 1)
    ...         await until_idle(agent)
    ...     return await Agent.get(agent)
    >>> asyncio.run(main())
    2
    """

    def on_entry(entry: Any) -> Iterable[Any]:
        kind, payload = payload_of(entry)
        return [_carry(entry, kind, payload, wanted) for wanted in fn(payload)]

    with intercept_entries(target, on_entry):
        yield


def _carry(entry: Any, kind: str, payload: Any, wanted: Any) -> Any:
    """Return an entry of the same kind as *entry* with the content *wanted*."""
    if wanted is payload:
        return entry
    if isinstance(entry, Call):
        entry.request = wanted
        return entry
    if kind == "info":
        return Info(wanted)
    return CastBox(wanted) if wanted.__class__ in ENVELOPES else wanted


def intercept_entries(target: Any, fn: Callable[[Any], Iterable[Any]]) -> AbstractContextManager[None]:
    """Do the same with the mailbox entries themselves, so that a delayed one can be delivered later as what it was."""
    return _hooked(target, fn, interceptor=True)


def observe_entries(target: Any, fn: Callable[[Any], object]) -> AbstractContextManager[None]:
    """While the block runs, call *fn* with each entry as it enters the mailbox, after all interceptors."""
    return _hooked(target, fn, interceptor=False)


@contextmanager
def _hooked(target: Any, fn: Callable[[Any], Any], *, interceptor: bool) -> Iterator[None]:
    check_doomed()
    process = existing(target, "intercept")
    process.runtime.check_thread("intercept")
    if process.interceptors is None:
        process.interceptors, process.observers = [], []
        _install(process)
    hooks: list[Callable[[Any], Any]] = process.interceptors if interceptor else process.observers
    hooks.append(fn)
    process.heed()
    try:
        yield
    finally:
        hooks.remove(fn)
        if not process.interceptors and not process.observers:
            process.interceptors = None
            _uninstall(process)
            process.heed()


def _install(process: Process) -> None:
    deliver = process.first_put()

    def put(entry: Any) -> None:
        entries = [entry]
        if entry.__class__ not in _INTERNAL:
            entries = _passed(process, entry, tuple(process.interceptors or ()))
        if process.exit_reason is not None:
            process.deliver(entry)  # An interceptor ended it: the caller, if there is one, must hear of that.
            return
        for each in entries:
            _observed(process, each)
            deliver(each)

    put.delivers = deliver  # type: ignore[attr-defined]
    process.put = put


def _observed(process: Process, entry: Any) -> None:
    """Tell the observers that *entry* is about to be delivered."""
    if process.interceptors is not None and entry.__class__ not in _INTERNAL:
        for observer in tuple(process.observers):
            try:
                observer(entry)
            except Exception as error:  # noqa: BLE001  # As in `_passed`.
                _complain(process, "an observer", error)


def _complain(process: Process, who: str, error: Exception) -> None:
    process.runtime.loop.call_exception_handler({"message": f"{who} of {process!r} failed", "exception": error})


def _passed(process: Process, entry: Any, interceptors: Iterable[Callable[[Any], Iterable[Any]]]) -> list[Any]:
    """Return what *interceptors* leave of *entry*."""
    entries = [entry]
    for interceptor in interceptors:
        try:
            entries = [out for each in entries for out in interceptor(each)]
        except Exception as error:  # noqa: BLE001  # Whoever sends is not to blame: a cast never fails.
            _complain(process, "an interceptor", error)
    return entries


def deliver_past(process: Process, fn: Callable[[Any], Iterable[Any]], entry: Any) -> None:
    """Deliver *entry*, which the interceptor *fn* kept back, as if that let it pass only now."""
    interceptors = process.interceptors or []
    after = interceptors[interceptors.index(fn) + 1 :] if fn in interceptors else []
    put = process.first_put()
    for each in _passed(process, entry, tuple(after)):
        _observed(process, each)
        getattr(put, "delivers", put)(each)
    if not process.scheduled:
        process.scheduled = True
        process.runtime.schedule(process)


def _uninstall(process: Process) -> None:
    deliver = getattr(process.put, "delivers", None)
    if deliver is not None:  # Else the process has died, and refuses everything now.
        process.put = deliver
