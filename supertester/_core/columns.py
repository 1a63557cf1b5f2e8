"""Text in columns, for a terminal or anywhere else where letters have one width."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows* with their columns aligned: the first to the left, the others to the right.

    >>> print(text_table([("name", "ms"), ("p50", "1.2"), ("p99.9", "10.5")]))
    name     ms
    p50     1.2
    p99.9  10.5
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
