"""Where the ends of operations are noted while a load runs; from any thread."""

from __future__ import annotations

import traceback
from threading import Lock
from typing import Final

from supertester.performance.load.histogram import Histogram
from supertester.performance.load.report import Timeline

__all__ = ["NotFinished", "Recorder"]

_SAMPLES: Final = 5
_KINDS: Final = 100


class NotFinished(Exception):
    """An operation had not ended when the load was over."""


class Recorder:
    """Notes operations, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self.latency, self.service, self.lag = Histogram(), Histogram(), Histogram()
        self.timeline = Timeline()
        self.operations = self.succeeded = 0
        self.last_ns = 0
        self.errors: dict[str, int] = {}
        self.samples: list[str] = []
        self.began_ns = 0
        self._lock = Lock()

    def note(self, due: int, began: int, ended: int, error: BaseException | None) -> None:
        """Note an operation that was *due*, *began* and *ended* at these nanoseconds."""
        with self._lock:
            self.operations += 1
            self.latency.record(ended - due)
            self.service.record(ended - began)
            at = ended - self.began_ns
            if at > self.last_ns:  # noqa: PLR1730 - this runs with every operation, and `max` takes longer
                self.last_ns = at
            self.timeline.note(at / 1e9, error is None, (ended - due) / 1e6)
            if error is None:
                self.succeeded += 1
            else:
                self._failed(error)

    def note_lag(self, nanoseconds: int) -> None:
        """Note how late an operation was begun for which its user was free."""
        with self._lock:
            self.lag.record(nanoseconds)

    def _failed(self, error: BaseException) -> None:
        kind = type(error).__name__
        if kind not in self.errors and len(self.errors) >= _KINDS:
            kind = "other"
        self.errors[kind] = self.errors.get(kind, 0) + 1
        if len(self.samples) < _SAMPLES and not isinstance(error, NotFinished):
            self.samples.append("".join(traceback.format_exception(error)).rstrip())
