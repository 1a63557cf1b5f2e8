"""Evidence for failure reports: values shown in bounded length, differences, and what processes have been through.

Knows processes by their attributes alone, so that it can serve every kind of them.
"""

from __future__ import annotations

import difflib
import pprint
from typing import Any, Final

from supertester._core.mismatch import Mismatch
from supertester.errors import WaitTimeout

__all__ = ["difference", "history_of", "shown", "timed_out", "with_history"]

_LONGEST: Final = 300
_MESSAGES: Final = 8
_DEATHS: Final = 5


def shown(value: Any) -> str:
    """Return the ``repr`` of *value*, shortened; an object whose ``repr`` fails is shown by its class.

    >>> shown("x" * 400)[-5:]
    'xx...'
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - of the user's class; a report of a failure must not fail
        text = object.__repr__(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def difference(expected: Any, actual: Any) -> str:
    """Return the lines in which two values differ, those of *expected* with ``-``, those of *actual* with ``+``.

    >>> print(difference({"count": 1, "name": "a"}, {"count": 2, "name": "a"}))
    - {'count': 1, 'name': 'a'}
    ?           ^
    + {'count': 2, 'name': 'a'}
    ?           ^
    """
    before, after = _lines(expected), _lines(actual)
    if before == after:
        return f"- a {type(expected).__qualname__}\n+ a {type(actual).__qualname__}, which looks alike but is not equal"
    return "\n".join(line.rstrip() for line in difflib.ndiff(before, after))


def _lines(value: Any) -> list[str]:
    try:
        return pprint.pformat(value, width=100).splitlines()
    except Exception:  # noqa: BLE001 - as in `shown`
        return [shown(value)]


def history_of(*pids: Any) -> list[str]:
    """Return the last messages and the exit reasons of *pids*, and the last deaths of others around them."""
    known = [pid for pid in pids if pid is not None]
    lines = []
    for pid in known:
        whose = f"{pid!r}: " if len(known) > 1 else ""
        recent = list(getattr(pid, "recent_messages", ()))[-_MESSAGES:]
        lines += [f"{whose}{kind} {shown(message)}" for kind, message in recent]
        if pid.exit_reason is not None:
            lines.append(f"{whose}exit {shown(pid.exit_reason)}")
    deaths = list(known[0].runtime.deaths) if known else []
    return lines + [f"death of {death.pid!r}" for death in deaths if death.pid not in known][-_DEATHS:]


def with_history(message: str, *pids: Any) -> str:
    """Return *message* with the history of *pids*."""
    return str(Mismatch(message, history_of(*pids)))


def timed_out(message: str, *pids: Any) -> WaitTimeout:
    """Return the error to raise for a wait that ran out, with the history of *pids*."""
    return WaitTimeout(with_history(message, *pids))
