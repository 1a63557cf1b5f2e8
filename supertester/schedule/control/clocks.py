"""The functions of ``time``, which tell an explored program its virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from supertester._core.exploring import current
from supertester._core.origin import is_standard
from supertester._core.replacing import StandIn, Undo, importers, replace_attribute

__all__ = ["install"]

_EPOCH: Final = 1_700_000_000
"""The ``time.time()`` of virtual time 0, in November 2023."""
_BILLION: Final = 10**9


def install() -> list[Undo]:
    """Replace the clocks, in ``time`` and where a module outside the standard library has imported them by name."""
    readings: dict[str, Callable[[Any], float]] = {
        "time": lambda loop: _EPOCH + loop.read_clock() / _BILLION,
        "time_ns": lambda loop: _EPOCH * _BILLION + loop.read_clock(),
        "monotonic": lambda loop: loop.read_clock() / _BILLION,
        "monotonic_ns": lambda loop: loop.read_clock(),
        "perf_counter": lambda loop: loop.read_clock() / _BILLION,
        "perf_counter_ns": lambda loop: loop.read_clock(),
    }
    before = {name: getattr(time, name) for name in [*readings, "sleep"]}
    replacements: dict[str, Any] = {name: _Clock(before[name], read) for name, read in readings.items()}
    replacements["sleep"] = _Sleep(before["sleep"])
    return [
        replace_attribute(module, name, replacements[name])
        for module, name in importers(before)
        if module is time or not is_standard(getattr(module, "__file__", None) or "")
    ]


class _Clock(StandIn):
    """A function that tells the time; *read* asks a loop for the time of its schedule."""

    def __init__(self, original: Callable[[], float], read: Callable[[Any], float]) -> None:
        super().__init__(original)
        self._read = read

    def __call__(self) -> float:
        loop = current()
        return self._original() if loop is None else self._read(loop)


class _Sleep(StandIn):
    """``time.sleep``."""

    def __call__(self, seconds: float, /) -> None:
        loop = current()
        if loop is None or seconds < 0:
            self._original(seconds)
        else:
            loop.block(seconds)
