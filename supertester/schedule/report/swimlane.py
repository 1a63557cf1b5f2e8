"""The swimlane: what each task did beside what the others did, in the order in which it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from supertester.schedule.lanes import Lane
from supertester.schedule.report.tracer import Line, Step

__all__ = ["Row", "named", "rows_of", "swimlane"]

_WIDTH: Final = 118
_WIDEST: Final = 48
_MARGIN: Final = 11
_NAME: Final = 28
"""Letters of a name, where it stands before each line."""
_SHOWN: Final = 6
"""Lines that are shown of what a lane does in a row."""
_ROWS: Final = 60


@dataclass(frozen=True)
class Row:
    """One line of code in the swimlane.

    Attributes:
        time: Virtual time in seconds.
        lane: Who runs it.
        text: The line, with its number.
        forced: Whether the lane began here by a forced switch.
        actor: Whose message a server begins to handle here.
    """

    time: float
    lane: Lane
    text: str
    forced: bool = False
    actor: Lane | None = None

    def shown(self, names: Mapping[Lane, str]) -> str:
        """Return the line, and for whom it runs."""
        return self.text if self.actor is None else f"{self.text}  (for {names.get(self.actor, 'somebody')})"


def named(names: Mapping[Lane, str]) -> dict[Lane, str]:
    """Tell lanes of one name apart by numbers, in the order in which they were made."""
    counts = Counter(names.values())
    numbers: Counter[str] = Counter()
    result: dict[Lane, str] = {}
    for lane in sorted(names, key=lambda lane: lane.path):
        name = names[lane]
        numbers[name] += 1
        result[lane] = f"{name}#{numbers[name]}" if counts[name] > 1 else name
    return result


def rows_of(steps: Sequence[Step], important: frozenset[Line] = frozenset()) -> list[Row]:
    """Return the lines that were run, in order; of many in a row those that matter.

    Args:
        steps: The steps of the schedule.
        important: Lines that have to be shown.
    """
    told = [step for step in steps if step.lines or step.forced or step.lane.kind == "fault"]
    files = {line.filename for step in told for line in step.lines}
    blocks = list(_blocks(told))
    del blocks[: _beginning(blocks)]
    rows: list[Row] = []
    for number, block in enumerate(blocks):
        # What a test does before others begin is not what it is about.
        count = 1 if number == 0 and len(blocks) > 1 else _SHOWN
        rows += _block_rows(block, important, count, is_one_file=len(files) == 1)
    return rows


def _beginning(blocks: Sequence[list[Step]]) -> int:
    """Return how many of *blocks* are of lanes that came to their end before there was anything to choose."""
    later = [{step.lane for block in blocks[index + 1 :] for step in block} for index in range(len(blocks))]
    for index, block in enumerate(blocks[:-1]):
        if block[0].forced or block[0].lane in later[index] or len(block[0].lane.path) > 1:
            return index
    return 0


def _blocks(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield what each lane did in a row; a forced switch begins anew."""
    turn = 0

    def key(step: Step) -> tuple[int, int]:
        nonlocal turn
        turn += step.forced
        return (turn, id(step.lane))

    for _, group in groupby(steps, key):
        yield list(group)


def _block_rows(block: Sequence[Step], important: frozenset[Line], count: int, *, is_one_file: bool) -> Iterator[Row]:
    first = block[0]
    lines = list(_lines(block))
    if not lines:
        yield Row(first.time, first.lane, f"({first.lane.kind})", first.forced)
        return
    kept = _kept(lines, important, count)
    for index, (step, line) in enumerate(lines):
        is_first = index == 0
        time = step.time
        if index in kept:
            is_new = step.actor is not first.lane and (is_first or lines[index - 1][0] is not step)
            text = _text(line, is_one_file=is_one_file)
            yield Row(time, first.lane, text, first.forced and is_first, step.actor if is_new else None)
        elif (is_first and count > 1) or index - 1 in kept:
            yield Row(time, first.lane, "...", first.forced and is_first)


def _lines(block: Sequence[Step]) -> Iterator[tuple[Step, Line]]:
    """Yield the lines of *block*, each once where it comes several times in a row."""
    before: Line | None = None
    for step in block:
        for line, following in pairwise([*step.lines, None]):
            assert line is not None
            is_again = before is not None and (before.filename, before.number) == (line.filename, line.number)
            # Where a coroutine goes on, so do all that wait for it; the innermost says enough.
            is_outer = line.resumed and following is not None and following.resumed
            if is_outer:
                continue
            if not is_again:
                yield step, line
            before = line


def _kept(lines: Sequence[tuple[Step, Line]], important: frozenset[Line], count: int) -> set[int]:
    """Return which of *lines* are shown: what matters, and the first and the last ones, *count* of these together."""
    first = count // 3
    wanted = {*range(first), *range(max(len(lines) - count + first, 0), len(lines))}
    return wanted | {index for index, (_, line) in enumerate(lines) if line in important}


def _text(line: Line, *, is_one_file: bool) -> str:
    where = str(line.number) if is_one_file else f"{Path(line.filename).stem}:{line.number}"
    return f"{where}: {'(goes on) ' if line.resumed else ''}{line.source}"


def swimlane(rows: Sequence[Row], names: Mapping[Lane, str]) -> list[str]:
    """Return the rows as text: with a column for each lane where that is not too wide, else with its name."""
    left_out = max(len(rows) - _ROWS, 0)
    shown = rows[left_out:]
    lanes = sorted({row.lane for row in shown}, key=lambda lane: lane.path)
    head = [f"  ... {left_out} lines before"] if left_out else []
    widths = {lane: min(_needed(lane, shown, names), _WIDEST) + 2 for lane in lanes}
    if sum(widths.values()) > _WIDTH - _MARGIN:
        return [*head, *_listed(shown, names)]
    return [*head, *_in_columns(shown, widths, names)]


def _needed(lane: Lane, rows: Sequence[Row], names: Mapping[Lane, str]) -> int:
    return max([len(names[lane]), *(len(row.shown(names)) for row in rows if row.lane is lane)])


def _in_columns(rows: Sequence[Row], widths: Mapping[Lane, int], names: Mapping[Lane, str]) -> Iterator[str]:
    yield ("  t".ljust(_MARGIN) + "".join(names[lane].ljust(width) for lane, width in widths.items())).rstrip()
    columns = list(widths)
    for row in rows:
        indent = sum(widths[lane] for lane in columns[: columns.index(row.lane)])
        yield _begin(row) + " " * indent + _cut(row.shown(names), widths[row.lane])


def _begin(row: Row) -> str:
    return f"  {row.time:<6.3f} {'!' if row.forced else ' '} "


def _cut(text: str, width: int) -> str:
    return text if len(text) < width else text[: width - 2] + "…"


def _listed(rows: Sequence[Row], names: Mapping[Lane, str]) -> Iterator[str]:
    widest = min(max((len(names[row.lane]) for row in rows), default=0), _NAME)
    for row in rows:
        name = _cut(names[row.lane], widest + 1)
        yield f"{_begin(row)}{name:<{widest}}  {_cut(row.shown(names), _WIDTH - widest - _MARGIN - 2)}"
