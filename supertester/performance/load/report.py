"""What came of a load: latencies, throughput, errors, and whether the generator kept up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from supertester.errors import UsageError
from supertester.performance.load.histogram import Histogram
from supertester.performance.load.process_load import ProcessLoad

__all__ = ["EVENT_KINDS", "Event", "LoadReport", "Slot", "Timeline", "digits"]

_MOST_SLOTS: Final = 600
_MOST_EVENTS: Final = 1_000


def digits(value: float | None) -> str:
    """Return *value* with three digits, and none of them after the point from a thousand on; ``-`` for none.

    >>> digits(1234.5), digits(0.01234), digits(None)
    ('1,234', '0.0123', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"


@dataclass
class Slot:
    """A part of the time: operations that ended well and badly in it, and the greatest latency among them."""

    succeeded: int = 0
    failed: int = 0
    max_ms: float = 0.0

    def add(self, other: Slot) -> None:
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.max_ms = max(self.max_ms, other.max_ms)


EVENT_KINDS: Final = ("event", "fault", "recovery")
"""What an event in the timeline of a load can be."""


class Event(NamedTuple):
    """Something that happened beside a load: seconds after its beginning, what, and of which kind it is."""

    at: float
    what: str
    kind: str = "event"


@dataclass
class Timeline:
    """What happened when, in parts of equal length: of a second, or of more when there would be too many.

    Attributes:
        interval: Seconds that each part is long.
        slots: The parts, from the beginning on.
        events: What else happened.
    """

    interval: float = 1.0
    slots: list[Slot] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def note(self, at: float, ok: bool, latency_ms: float) -> None:  # noqa: FBT001 - names take time
        """Note an operation that ended *at* so many seconds. The first one may end before the beginning."""
        index = int(at / self.interval) if at > 0 else 0
        if index >= len(self.slots):
            index = self._grow(max(at, 0.0))
        slot = self.slots[index]
        if ok:
            slot.succeeded += 1
        else:
            slot.failed += 1
        if latency_ms > slot.max_ms:  # noqa: PLR1730 - this runs with every operation, and `max` takes longer
            slot.max_ms = latency_ms

    def note_successes(self, ends_ns: Sequence[int], latencies_ns: Sequence[int]) -> None:
        """Note operations that ended well, so many nanoseconds after the beginning."""
        first, last = (max(0, int(end / 1e9 / self.interval)) for end in (min(ends_ns), max(ends_ns)))
        if first == last < len(self.slots):
            self.slots[last].add(Slot(len(ends_ns), 0, max(latencies_ns) / 1e6))
        else:
            for end, latency in zip(ends_ns, latencies_ns, strict=True):
                self.note(end / 1e9, True, latency / 1e6)  # noqa: FBT003

    def _grow(self, at: float) -> int:
        """Make the part for *at*, and return its index."""
        index = int(at / self.interval)
        while index >= _MOST_SLOTS:
            self._halve()
            index = int(at / self.interval)
        self.slots += [Slot() for _ in range(index + 1 - len(self.slots))]
        return index

    def mark(self, at: float, what: str, kind: str = "event") -> None:
        """Note an event; those beyond the first thousand are dropped.

        Raises:
            UsageError: It is of no known kind.
        """
        if kind not in EVENT_KINDS:
            raise UsageError(f"an event in a timeline is one of {', '.join(EVENT_KINDS)}, got kind={kind!r}")
        if len(self.events) < _MOST_EVENTS:
            self.events.append(Event(at, what, kind))

    def _halve(self) -> None:
        if len(self.slots) % 2:
            self.slots.append(Slot())
        for first, second in zip(self.slots[::2], self.slots[1::2], strict=True):
            first.add(second)
        self.slots = self.slots[::2]
        self.interval *= 2

    def add(self, other: Timeline) -> None:
        """Add what happened elsewhere at the same time."""
        while self.interval < other.interval:
            self._halve()
        for index, slot in enumerate(other.slots):
            at = int(index * other.interval / self.interval)
            self.slots += [Slot() for _ in range(at + 1 - len(self.slots))]
            self.slots[at].add(slot)
        self.events = sorted([*self.events, *other.events])[:_MOST_EVENTS]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "interval": self.interval,
            "slots": [vars(slot) for slot in self.slots],
            "events": [list(event) for event in self.events],
        }


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What came of a load.

    Latencies are from the moment an operation was *due* to its end, so the time that it had to wait for its user to be
    free counts: that corrects for what is called coordinated omission. The percentiles ``p50_ms`` to ``p99_9_ms`` are
    at the nearest rank, and ``None`` if there are too few operations to know them.

    Attributes:
        operations: How many there were to do.
        succeeded: How many were done without an exception.
        errors: The others, by the name of the exception; ``NotFinished`` is for those that never ended.
        error_samples: The first few, with their tracebacks.
        elapsed: Seconds until the last one ended.
        latency: From due to end, in nanoseconds.
        service: From begin to end.
        lag: How late the generator began what no user was busy for.
        check: The same for operations that do nothing, at the same rate, before the load.
        valid: Whether the generator was fast enough for the latencies to be those of the system.
        invalid_reason: Why not.
        own_cpu: Processors that this process used.
        foreign_cpu: Processors that other programs used meanwhile; ``None`` where that cannot be told.
        timeline: Throughput, errors and events over the time.
        process: What another process used meanwhile, if one was named.
    """

    users: int
    rate: float
    duration: float
    operations: int
    succeeded: int
    errors: dict[str, int]
    error_samples: tuple[str, ...]
    elapsed: float
    latency: Histogram
    service: Histogram
    lag: Histogram
    check: Histogram
    valid: bool
    invalid_reason: str
    own_cpu: float
    foreign_cpu: float | None
    timeline: Timeline
    process: ProcessLoad | None = None

    @property
    def success_rate(self) -> float:
        """The share of the operations that succeeded."""
        return self.succeeded / self.operations if self.operations else 0.0

    @property
    def throughput(self) -> float:
        """Operations that succeeded, per second."""
        return self.succeeded / self.elapsed if self.elapsed else 0.0

    def percentile_ms(self, percent: float) -> float | None:
        """Return the latency at *percent*, in milliseconds; ``None`` if there are too few operations."""
        value = self.latency.value_at(percent)
        return None if value is None else value / 1e6

    @property
    def p50_ms(self) -> float | None:
        return self.percentile_ms(50)

    @property
    def p90_ms(self) -> float | None:
        return self.percentile_ms(90)

    @property
    def p95_ms(self) -> float | None:
        return self.percentile_ms(95)

    @property
    def p99_ms(self) -> float | None:
        return self.percentile_ms(99)

    @property
    def p99_9_ms(self) -> float | None:
        return self.percentile_ms(99.9)

    @property
    def max_ms(self) -> float:
        return self.latency.maximum / 1e6

    @classmethod
    def merged(cls, reports: Sequence[LoadReport]) -> LoadReport:
        """Return one report of what several machines did at the same time, each with its share of a plan."""
        if not reports:
            raise UsageError("there is nothing to merge; give at least one report")
        histograms = {name: Histogram() for name in ("latency", "service", "lag", "check")}
        errors: dict[str, int] = {}
        timeline = Timeline()
        for report in reports:
            for name, histogram in histograms.items():
                histogram.add(getattr(report, name))
            for kind, count in report.errors.items():
                errors[kind] = errors.get(kind, 0) + count
            timeline.add(report.timeline)
        foreign = [report.foreign_cpu for report in reports if report.foreign_cpu is not None]
        return cls(
            users=sum(report.users for report in reports),
            rate=reports[0].rate,
            duration=max(report.duration for report in reports),
            operations=sum(report.operations for report in reports),
            succeeded=sum(report.succeeded for report in reports),
            errors=errors,
            error_samples=tuple(sample for report in reports for sample in report.error_samples)[:5],
            elapsed=max(report.elapsed for report in reports),
            **histograms,
            valid=all(report.valid for report in reports),
            invalid_reason="; ".join(dict.fromkeys(report.invalid_reason for report in reports if not report.valid)),
            own_cpu=sum(report.own_cpu for report in reports),
            foreign_cpu=max(foreign, default=None),
            timeline=timeline,
            process=ProcessLoad.merged([report.process for report in reports if report.process is not None]),
        )

    def __str__(self) -> str:
        percentiles = {"p50": self.p50_ms, "p95": self.p95_ms, "p99": self.p99_ms, "p99.9": self.p99_9_ms}
        lines = [
            f"{self.users} users, {self.rate:g} operations per second each, {self.duration:g} s",
            f"{self.operations} operations, {self.success_rate:.3%} succeeded, {self.throughput:.4g} per second",
            "latency in ms: "
            + ", ".join(f"{name} {digits(value)}" for name, value in ({**percentiles, "max": self.max_ms}).items()),
        ]
        if self.errors:
            lines.append("errors: " + ", ".join(f"{count} {kind}" for kind, count in self.errors.items()))
        if self.process is not None:
            lines.append(str(self.process))
        if not self.valid:
            lines.append(f"invalid: {self.invalid_reason}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        names: tuple[str, ...] = ("users", "rate", "duration", "operations", "succeeded", "success_rate", "throughput")
        names += (
            "errors",
            "elapsed",
            "p50_ms",
            "p90_ms",
            "p95_ms",
            "p99_ms",
            "p99_9_ms",
            "max_ms",
            "valid",
            "invalid_reason",
        )
        return {
            **{name: getattr(self, name) for name in names},
            **{name: getattr(self, name).to_dict() for name in ("latency", "service", "lag", "check", "timeline")},
            "error_samples": list(self.error_samples),
            "process": None if self.process is None else self.process.to_dict(),
        }
