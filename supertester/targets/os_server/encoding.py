"""What is sent to a server in a process of its own, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pickle import dumps
from typing import TYPE_CHECKING, Any

from supertester.errors import Unsupported, UsageError
from supertester.otp import sys
from supertester.otp.messages import ENVELOPES, Barrier, Call, CastBox, Exit, Info, System, Terminate
from supertester.otp.results import NOTHING
from supertester.targets.os_server.frames import BARRIER, CALL, CALL_FROM, CAST, EXIT, INFO, SYSTEM, TERMINATE
from supertester.targets.os_server.reasons import packed
from supertester.targets.os_server.served import forward_events

if TYPE_CHECKING:
    from supertester.otp.process import Process

__all__ = ["encoded", "encoded_call", "encoded_request", "translated"]


def encoded(process: Process, entry: Any) -> tuple[int, bytes]:
    """Return the kind of the frame that brings the message *entry* to *process*, and its content.

    Raises:
        UsageError: It cannot be pickled.
    """
    cls = entry.__class__
    if cls is Call:
        return encoded_call(process, entry.request, entry.caller)
    if cls not in ENVELOPES:
        return CAST, encoded_request(process, entry)
    if cls is Info or cls is CastBox:
        return (INFO if cls is Info else CAST), encoded_request(process, entry.message)
    if cls is System or cls is Barrier:
        operation, _ = translated(process, entry.request)
        return (SYSTEM if cls is System else BARRIER), encoded_request(process, operation)
    if cls is Exit:
        return EXIT, dumps((entry.pid, packed(entry.reason)), 5)
    if cls is Terminate:
        return TERMINATE, packed(entry.reason)
    raise Unsupported(f"{entry!r} cannot be sent to {process!r}, which is in another process")


def encoded_call(process: Process, request: Any, caller: Any) -> tuple[int, bytes]:
    """Return the same for a call of *caller*."""
    if caller is None:
        return CALL, encoded_request(process, request)
    return CALL_FROM, encoded_request(process, (request, caller), request)


def encoded_request(process: Process, what: Any, shown: Any = NOTHING) -> bytes:
    """Return *what* goes to *process*, as bytes; a complaint shows that, or what is to be *shown* of it.

    Raises:
        UsageError: It cannot be pickled.
    """
    try:
        return dumps(what, 5)
    except Exception as error:
        shown = what if shown is NOTHING else shown
        raise UsageError(
            f"{shown!r} is to go to {process!r}, which is in another process, and cannot be pickled: {error}"
        ) from error


def translated(process: Process, operation: Any) -> tuple[Any, Callable[[], Any] | None]:
    """Return what is done there for a request of `sys`, and what here after it, if anything."""
    if operation is sys.count:  # Where both sides are known.
        return sys.nothing, partial(sys.count, process)
    if isinstance(operation, partial) and operation.func is sys.set_tracer:
        (fn,) = operation.args
        return partial(forward_events, on=fn is not None), partial(setattr, process, "tracer", fn)
    return operation, None
