"""``time.tzset``, which reads ``TZ`` where only the process's variables are, and sets the process's time zone."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable

from supertester.isolation.environment.process_wide import claim, release
from supertester.isolation.environment.state import State, current
from supertester.isolation.environment.variables import around
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["install"]

_KEY = "time zone"


def install() -> list[Undo]:
    """Let ``time.tzset`` see the ``TZ`` of the test that calls it; return what undoes it."""
    if not hasattr(time, "tzset"):
        return []
    return [replace_attribute(time, "tzset", _tzset(time.tzset))]


def _tzset(previous: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(previous)
    def tzset() -> None:
        state = current()
        zone = os.environ.get("TZ")
        if state is None or (_KEY not in state.undos and zone == around(None, "TZ")):
            previous()
            return
        if not state.is_forked():
            claim(
                state.context,
                _KEY,
                "the time zone",
                action=f"time.tzset() with TZ={zone!r}",
                instead="pass time zones, such as those of zoneinfo, to the code under test",
            )
            _note(state, previous)
        _put(zone)
        previous()

    return tzset


def _note(state: State, previous: Callable[[], None]) -> None:
    if _KEY in state.undos:
        return
    before = around(state, "TZ")

    def undo() -> None:
        _put(before)
        previous()
        release(state.context, _KEY)

    state.undos[_KEY] = undo


def _put(zone: str | None) -> None:
    if zone is None:
        os.unsetenv("TZ")
    else:
        os.putenv("TZ", zone)
