"""Exit reasons on their way between processes: with tracebacks where they survive, else as text."""

from __future__ import annotations

import pickle
import traceback
from typing import Any, NamedTuple

from supertester._core.packed_exceptions import pack, unpack
from supertester.otp.reasons import NORMAL, Crash
from supertester.targets.pidfd import in_words

__all__ = ["RemoteCrash", "of_exit_code", "packed", "unpacked"]


class RemoteCrash(Exception):
    """An exception of another process that could not be brought here.

    Its text has the traceback of where it was raised.

    Attributes:
        type_name: The name of its class, with the module.
        text: Its traceback as text.
    """

    def __init__(self, type_name: str, message: str, text: str) -> None:
        super().__init__(type_name, message, text)
        self.type_name = type_name
        self.message = message
        self.text = text

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}\n{self.text}".rstrip()


class _Packed(NamedTuple):
    """An exception as bytes, if it survives them, and as text in any case."""

    data: bytes | None
    type_name: str
    message: str
    text: str


def of_exit_code(code: int | None) -> Any:
    """Return the exit reason of a process that said none: `NORMAL`, or ``"signal SIGSEGV"``, ``"exit status 3"``."""
    if code is None:
        return "unknown: somebody else has waited for it"
    return in_words(code) if code else NORMAL


def packed(reason: Any) -> bytes:
    """Return *reason* as bytes, whatever it is."""
    if isinstance(reason, Crash):
        return pickle.dumps(_taken_apart(reason.exception))
    try:
        data = pickle.dumps(reason, 5)
        pickle.loads(data)  # There are objects that pickle and do not unpickle.
    except Exception:  # noqa: BLE001  # Whatever an object does.
        return pickle.dumps(_shown(reason))
    return data


def unpacked(data: bytes) -> Any:
    """Return the reason that `packed` made *data* of; as text, if it cannot be made here."""
    try:
        reason = pickle.loads(data)
    except Exception as error:  # noqa: BLE001  # Whatever an object does.
        return ("unreadable", repr(error))
    return Crash(_put_together(reason)) if reason.__class__ is _Packed else reason


def _taken_apart(error: BaseException) -> _Packed:
    cls = type(error)
    return _Packed(
        pack(error),
        f"{cls.__module__}.{cls.__qualname__}",
        _shown(error, str),
        "".join(traceback.format_exception(error)),
    )


def _put_together(found: _Packed) -> BaseException:
    error = None if found.data is None else unpack(found.data)
    return error if error is not None else RemoteCrash(found.type_name, found.message, found.text)


def _shown(thing: Any, show: Any = repr) -> str:
    try:
        return str(show(thing))
    except Exception as error:  # noqa: BLE001  # Whatever a repr does.
        return f"<{type(thing).__name__} whose repr raised {type(error).__name__}>"
