"""Pages about what was measured: loads, and the growth of memory."""

from __future__ import annotations

from collections import Counter
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Final

from supertester.performance.leak import LeakReport
from supertester.performance.load import Histogram, LoadReport
from supertester.performance.load.report import digits
from supertester.reporting.page import facts, page, section, table
from supertester.reporting.svg import Axis, Series, chart, linear_axis, log_axis

__all__ = ["latency_chart", "load_page", "memory_chart", "memory_page", "save_page", "timeline_chart"]

_PERCENTILES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_POINTS: Final = 200
_KINDS: Final = {"fault": "faults", "recovery": "recoveries", "event": "other events"}
_SHOWN: Final = 10
"""Events that are not folded."""


def save_page(text: str, path: str | Path) -> Path:
    """Write a page into a file, whose folder is made if need be, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load_page(report: LoadReport, *, title: str = "Load") -> str:
    """Return a page about a load: its numbers, and the charts of latency and of what happened when."""
    parts = [_verdict(report), facts(_load_facts(report))]
    parts.append(
        section("Latency by percentile", f"<figure>{latency_chart(report)}</figure>", _percentile_table(report))
    )
    parts.append(section("What happened when", f"<figure>{timeline_chart(report)}</figure>", _events(report)))
    if report.errors:
        rows = [(kind, f"{count:,}") for kind, count in sorted(report.errors.items(), key=lambda item: -item[1])]
        samples = "".join(f"<pre>{escape(sample)}</pre>" for sample in report.error_samples)
        parts.append(section("Errors", table(("kind", "operations"), rows), samples))
    return page(title, parts)


def _verdict(report: LoadReport) -> str:
    if report.valid:
        return '<p class="dim">The generator kept up: latencies are those of the system.</p>'
    return f'<p class="bad">Invalid: {escape(report.invalid_reason)}.</p>'


def _load_facts(report: LoadReport) -> list[tuple[str, str]]:
    return [
        ("users", f"{report.users:,}"),
        ("operations", f"{report.operations:,}"),
        ("succeeded", f"{report.success_rate:.3%}"),
        ("per second", f"{report.throughput:,.4g}"),
        ("p50, ms", digits(report.p50_ms)),
        ("p95, ms", digits(report.p95_ms)),
        ("p99, ms", digits(report.p99_ms)),
        ("max, ms", digits(report.max_ms)),
        ("own processors", digits(report.own_cpu)),
        ("others' processors", digits(report.foreign_cpu)),
    ]


def _percentile_table(report: LoadReport) -> str:
    def cell(histogram: Histogram, percent: float) -> str:
        value = histogram.value_at(percent)
        return "too few" if value is None else digits(value / 1e6)

    percentiles = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
    rows = [(f"{each:g}", cell(report.latency, each), cell(report.service, each)) for each in percentiles]
    return table(("percentile", "from due, ms", "from begin, ms"), rows)


def _events(report: LoadReport) -> str:
    """Return all events as a table, which is folded if it is long."""
    rows = [(f"{event.at:.2f}", event.what, event.kind) for event in sorted(report.timeline.events)]
    if not rows:
        return ""
    found = table(("seconds", "what", "kind"), rows)
    if len(rows) <= _SHOWN:
        return found
    counted = Counter(kind for _, _, kind in rows)
    summary = ", ".join(f"{counted[kind]} {names}" for kind, names in _KINDS.items() if counted[kind])
    return f"<details><summary>{summary}</summary>{found}</details>"


def latency_chart(report: LoadReport) -> str:
    """Return the latencies by percentile: from when operations were due, and from when they began."""
    series = [
        Series("from due", _by_percentile(report.latency)),
        Series("from begin", _by_percentile(report.service), "second"),
    ]
    highest = max((at for each in series for at, _ in each.points), default=1.0)
    ticks = [(1 / (1 - percent / 100), f"{percent:g}%") for percent in _PERCENTILES]
    shown = tuple(tick for tick in ticks if tick[0] <= highest * 1.01)
    x = Axis("percentile", 1.0, max(highest, 2.0), shown, logarithmic=True)
    y = log_axis("latency, ms", [value for each in series for _, value in each.points])
    return chart("Latency by percentile", x, y, series)


def _by_percentile(histogram: Histogram) -> tuple[tuple[float, float], ...]:
    """Return points at 1 / (1 - p), which on a logarithmic axis gives each further nine the same room."""
    points: list[tuple[float, float]] = []
    seen = 0
    for highest, count in histogram:
        # The last sample is drawn where the next further one would begin to matter.
        below = min((seen + count) / histogram.count, 1 - 1 / (2 * histogram.count))
        points.append((1 / (1 - below), max(min(highest, histogram.maximum) / 1e6, 1e-4)))
        seen += count
    return _thinned(points)


def _thinned(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return every so many of *points*, and the last hundred, where each counts."""
    head, tail = points[:-100], points[-100:]
    return tuple(head[:: max(len(head) // (_POINTS - 100), 1)] + tail)


def timeline_chart(report: LoadReport) -> str:
    """Return throughput and errors over the time, with a mark for each event."""
    timeline = report.timeline
    middles = [(index + 0.5) * timeline.interval for index in range(len(timeline.slots))]
    succeeded = [slot.succeeded / timeline.interval for slot in timeline.slots]
    failed = [slot.failed / timeline.interval for slot in timeline.slots]
    series = [
        Series("failed", tuple(zip(middles, failed, strict=True)), "bad", bars=True),
        Series("succeeded", tuple(zip(middles, succeeded, strict=True))),
    ]
    end = max([len(timeline.slots) * timeline.interval, *(event.at for event in timeline.events)])
    x = linear_axis("seconds", [end])
    return chart(
        "Throughput and errors", x, linear_axis("per second", succeeded + failed), series, marks=timeline.events
    )


def memory_page(report: LeakReport, *, title: str = "Memory") -> str:
    """Return a page about a search for a leak: how the memory grew, and from which lines."""
    mismatch = report.mismatch
    verdict = '<p class="good">No leak.</p>' if mismatch is None else f'<p class="bad">{escape(mismatch.message)}</p>'
    rows = [(f"{each.calls:,}", f"{each.growth_bytes:,}", f"{each.bytes_per_call:.3g}") for each in report.rounds]
    parts = [verdict, section("Growth", f"<figure>{memory_chart(report)}</figure>")]
    parts.append(table(("runs", "bytes kept", "bytes a run"), rows))
    if report.sites:
        parts.append(section("Lines", "<pre>" + escape("\n".join(report.sites)) + "</pre>"))
    return page(title, parts)


def memory_chart(report: LeakReport) -> str:
    """Return how the memory grew with the runs, round by round."""
    calls = [0, *accumulate(each.calls for each in report.rounds)]
    kept = [0, *accumulate(each.growth_bytes for each in report.rounds)]
    points = tuple((float(at), float(size)) for at, size in zip(calls, kept, strict=True))
    style = "bad" if report.leaking else "first"
    x, y = linear_axis("runs", calls), linear_axis("bytes kept", kept, low=float(min(kept)))
    return chart("Growth of memory", x, y, [Series("kept", points, style)])
