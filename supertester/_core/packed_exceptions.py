"""Exceptions as bytes, with their tracebacks, causes and notes, if they survive the way.

Whether they do is tried before they are sent: there are exceptions that pickle and do not unpickle, e.g. one whose
``__init__`` takes something else than its ``args``. Of those only the text is sent.
"""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

__all__ = ["pack", "unpack"]

_DEEPEST = 20
"""How long a chain of causes may be."""


def pack(error: BaseException) -> bytes | None:
    """Return *error* as bytes, or ``None`` if it does not survive."""
    with contextlib.suppress(Exception):
        data = pickle.dumps(_taken_apart(error, _DEEPEST))
        if unpack(data) is not None:
            return data
    return None


def unpack(data: bytes) -> BaseException | None:
    """Return the exception that `pack` made *data* of, or ``None`` if that cannot be made here."""
    with contextlib.suppress(Exception):
        return _put_together(pickle.loads(data))
    return None


def _taken_apart(error: BaseException | None, depth: int) -> Any:
    if error is None or depth == 0:
        return None
    from tblib import Traceback

    trace = error.__traceback__
    return (
        pickle.dumps(error),
        Traceback(trace).to_dict() if trace is not None else None,
        _taken_apart(error.__cause__, depth - 1),
        _taken_apart(error.__context__, depth - 1),
        error.__suppress_context__,
        list(getattr(error, "__notes__", ())),
    )


def _put_together(data: Any) -> BaseException | None:
    if data is None:
        return None
    from tblib import Traceback

    pickled, trace, cause, context, suppress, notes = data
    error = pickle.loads(pickled)
    if not isinstance(error, BaseException):
        raise TypeError(f"{error!r} is no exception")
    error.__traceback__ = Traceback.from_dict(trace).as_traceback() if trace is not None else None
    error.__cause__ = _put_together(cause)
    error.__context__ = _put_together(context)
    error.__suppress_context__ = suppress
    if notes:
        error.__notes__ = notes
    return error
