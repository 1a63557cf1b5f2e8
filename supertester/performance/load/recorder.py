"""Where the ends of operations are noted while a load runs; from any thread."""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass, field
from itertools import repeat, starmap
from operator import sub
from threading import Lock
from typing import Final

from supertester.performance.load.histogram import Histogram
from supertester.performance.load.report import Timeline

__all__ = ["NotFinished", "Recorder", "Totals"]

_SAMPLES: Final = 5
_KINDS: Final = 100
_BATCH: Final = 512
"""Operations that are added up at once: a fraction of a millisecond, in which no other can begin."""


class NotFinished(Exception):
    """An operation had not ended when the load was over."""


@dataclass(eq=False)
class Totals:
    """What a load came to; times in nanoseconds."""

    latency: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    timeline: Timeline = field(default_factory=Timeline)
    operations: int = 0
    succeeded: int = 0
    last_ns: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)

    def add_successes(self, operations: list[tuple[int, int, int]], at: int) -> None:
        """Add operations that went well, as ``(due, began, ended)``, in a load that began *at* this nanosecond."""
        dues, begans, endeds = zip(*operations, strict=True)
        latencies = list(map(sub, endeds, dues))
        self.latency.record_all(latencies)
        self.service.record_all(list(map(sub, endeds, begans)))
        self.operations += len(endeds)
        self.succeeded += len(endeds)
        self.last_ns = max(self.last_ns, max(endeds) - at)
        self.timeline.note_successes(list(map(sub, endeds, repeat(at))), latencies)

    def add_failure(self, due: int, began: int, ended: int, at: int, error: BaseException) -> None:
        """Add an operation that did not."""
        self.latency.record(ended - due)
        self.service.record(ended - began)
        self.operations += 1
        self.last_ns = max(self.last_ns, ended - at)
        self.timeline.note((ended - at) / 1e9, False, (ended - due) / 1e6)  # noqa: FBT003
        kind = type(error).__name__
        if kind not in self.errors and len(self.errors) >= _KINDS:
            kind = "other"
        self.errors[kind] = self.errors.get(kind, 0) + 1
        if len(self.samples) < _SAMPLES and not isinstance(error, NotFinished):
            self.samples.append("".join(traceback.format_exception(error)).rstrip())


class Recorder:
    """Notes operations, in memory that does not grow with their number.

    To note one that went well takes little time, because they are added up together.

    Attributes:
        began_ns: When the load began.
    """

    def __init__(self) -> None:
        self.began_ns = 0
        self._totals = Totals()
        self._done: deque[tuple[int, int, int]] = deque()
        self._lock = Lock()

    def note(self, due: int, began: int, ended: int, error: BaseException | None) -> None:
        """Note an operation that was *due*, *began* and *ended* at these nanoseconds."""
        if error is None:
            self._done.append((due, began, ended))
            if len(self._done) >= _BATCH:
                self.totals()
        else:
            with self._lock:
                self._totals.add_failure(due, began, ended, self.began_ns, error)

    def note_lag(self, nanoseconds: int) -> None:
        """Note how late an operation was begun for which its user was free."""
        with self._lock:
            self._totals.lag.record(nanoseconds)

    def totals(self) -> Totals:
        """Return all that was noted until now."""
        done = self._done
        with self._lock:
            # Other threads go on adding to what is taken from here, one by one.
            if batch := list(starmap(done.popleft, repeat((), len(done)))):
                self._totals.add_successes(batch, self.began_ns)
            return self._totals
