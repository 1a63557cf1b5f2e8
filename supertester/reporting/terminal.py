"""Compact tables for a terminal, or anywhere else where letters have one width."""

from __future__ import annotations

from collections.abc import Sequence

from supertester._core.columns import text_table
from supertester.performance.load import LoadReport
from supertester.performance.load.report import digits

__all__ = ["load_table", "text_table"]

_BLOCKS = " ▁▂▃▄▅▆▇█"


def load_table(report: LoadReport, *, width: int = 60) -> str:
    """Return what came of a load, with a line that shows the throughput over the time."""
    percentiles = (50.0, 90.0, 95.0, 99.0, 99.9)
    rows = [("ms", *(f"p{percent:g}" for percent in percentiles), "max")]
    for name, histogram in (("from due", report.latency), ("from begin", report.service)):
        values = [histogram.value_at(percent) for percent in percentiles]
        cells = [digits(None if value is None else value / 1e6) for value in values]
        rows.append((name, *cells, digits(histogram.maximum / 1e6)))
    lines = [
        f"{report.operations} operations, {report.success_rate:.3%} succeeded, {report.throughput:.4g} per second",
        text_table(rows),
        f"throughput  {_sparks([slot.succeeded for slot in report.timeline.slots], width)}",
    ]
    if report.errors:
        lines.append("errors      " + ", ".join(f"{count} {kind}" for kind, count in report.errors.items()))
    if not report.valid:
        lines.append(f"invalid     {report.invalid_reason}")
    return "\n".join(lines)


def _sparks(values: Sequence[int], width: int) -> str:
    """Return *values* as blocks of different height, several in one if there are more than *width*."""
    share = -(-len(values) // width) or 1
    heights = [sum(values[at : at + share]) for at in range(0, len(values), share)]
    top = max(heights, default=0) or 1
    return "".join(_BLOCKS[-(-height * (len(_BLOCKS) - 1) // top)] for height in heights)
