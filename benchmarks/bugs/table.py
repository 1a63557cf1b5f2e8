"""What is shown of searches for bugs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bugs.program import KNOWN, Bug
from benchmarks.bugs.search import Found

__all__ = ["Table", "goals"]

_GOAL_FOUND = 23
_GOAL_MEDIAN = 400
_HARDEST = "failure-detector"


class Table:
    """Prints rows of cells under the names of their columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._widths = [max(10, len(column) + 2) for column in columns]
        self.row("", columns)

    def row(self, name: str, cells: Sequence[str]) -> None:
        """Print a row."""
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=True))
        print(f"{name:<20}{''.join(padded)}", flush=True)

    def sums(self, bugs: Sequence[Bug], found: Mapping[str, Mapping[str, Found]]) -> None:
        """Print, for each suite, how many of its programs were found in most searches."""
        for suite in dict.fromkeys(bug.suite for bug in bugs):
            rows = [found[bug.name] for bug in bugs if bug.suite == suite]
            counts = [str(sum(row[column].mostly for row in rows)) for column in rows[0]]
            self.row(f"{suite}: of {len(rows)}", counts)


def goals(bugs: Sequence[Bug], found: Mapping[str, Mapping[str, Found]]) -> list[tuple[str, bool]]:
    """Return what was promised of ``auto`` and could be seen, each with whether it is kept."""
    rows = {bug.name: found[bug.name].get("auto") for bug in bugs if bug.suite == KNOWN}
    known = [each for each in rows.values() if each is not None]
    said = []
    if len(known) >= _GOAL_FOUND:
        count = sum(each.mostly for each in known)
        said.append((f"auto finds {count} of {len(known)}, at least {_GOAL_FOUND}", count >= _GOAL_FOUND))
    if (hardest := rows.get(_HARDEST)) is not None:
        text = f"auto finds {_HARDEST} after {hardest.median:,.0f}, at most {_GOAL_MEDIAN}"
        said.append((text, hardest.median <= _GOAL_MEDIAN))
    return said
