"""Pages about exploration: the schedule that fails, with a column for each task."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from supertester.reporting.page import facts, page, section
from supertester.schedule import ExplorationReport, FailingSchedule
from supertester.schedule.report.swimlane import Row

__all__ = ["exploration_page", "exploration_section"]

_STYLE: Final = """
.lanes td, .lanes th { text-align: left; vertical-align: top; font-family: ui-monospace, monospace; font-size: .8rem; }
.lanes tr.forced td { border-top: 2px solid var(--mark); } .lanes .sign { color: var(--mark); font-weight: 700; }
.token { overflow-wrap: anywhere; white-space: pre-wrap; }
"""


def exploration_page(report: ExplorationReport, *, title: str = "Schedules") -> str:
    """Return a page about an exploration: what fails, how it was found, and what happens in which order."""
    return page(title, [exploration_section(report)], style=_STYLE)


def exploration_section(report: ExplorationReport) -> str:
    """Return the same as a part of a page; its table wants the styles of `exploration_page`, and does without."""
    failing = report.failing
    if failing is None:
        style = "good" if report.ok else "bad"
        return section(report.name, f'<p class="{style}">{escape(str(report))}</p>')
    return section(report.name, *_failure(report, failing))


def _failure(report: ExplorationReport, failing: FailingSchedule) -> Iterator[str]:
    yield f'<p class="bad">{escape(failing.sentence)}</p>'
    yield facts(
        [
            ("kind", failing.kind),
            ("found by", failing.found_by),
            ("in schedule", f"{failing.found_at:,} of {report.limit:,}"),
            ("forced switches", f"{failing.switches_found} → {failing.switches}"),
            ("replays to shrink", f"{failing.replays:,}"),
            ("seed", str(report.seed)),
        ]
    )
    yield f"<p>Feasible: {escape(failing.feasibility)}</p>"
    if sentences := [*failing.needs, *failing.conflicts]:
        yield "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in sentences) + "</ul>"
    if failing.waits:
        yield "<pre>" + escape("\n".join(failing.waits)) + "</pre>"
    yield _swimlane(failing)
    yield f'<pre class="token">{escape(failing.command)}</pre>'


def _swimlane(failing: FailingSchedule) -> str:
    lanes = sorted({row.lane for row in failing.rows}, key=lambda lane: lane.path)
    head = "".join(f"<th>{escape(failing.lanes[lane])}</th>" for lane in lanes)
    body = "".join(_line(row, failing, lanes.index(row.lane), len(lanes)) for row in failing.rows)
    caption = "! marks a forced switch: somebody else was to go on" if failing.switches else "no switch is forced"
    return (
        f'<figure><table class="lanes"><caption class="dim">{caption}</caption>'
        f"<thead><tr><th>t, s</th><th></th>{head}</tr></thead><tbody>{body}</tbody></table></figure>"
    )


def _line(row: Row, failing: FailingSchedule, column: int, columns: int) -> str:
    text = escape(row.shown(failing.lanes))
    cells = "".join(f"<td>{text if number == column else ''}</td>" for number in range(columns))
    sign, style = ("!", "forced") if row.forced else ("", "plain")
    return f'<tr class="{style}"><td>{row.time:.3f}</td><td class="sign">{sign}</td>{cells}</tr>'
