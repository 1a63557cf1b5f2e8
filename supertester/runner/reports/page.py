"""The page of a run: one file of HTML that stands alone, and can be searched and walked through by keys."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from supertester.reporting.page import facts, page, section
from supertester.runner.outcome_history import LETTERS, OutcomeHistory
from supertester.runner.outcomes import FAILING, OUTCOMES, RunReport, TestOutcome

__all__ = ["run_page"]

_HERE: Final = Path(__file__).parent
_SLOWEST: Final = 20
_LETTERS: Final = 30_000_000
"""Letters of output and attachments of tests that passed which the page holds."""
_KEYS: Final = (
    ("/", "search"),
    ("j k ↓ ↑", "next and previous test"),
    ("n p", "next and previous test that failed"),
    ("Enter", "into the details, Escape back"),
    ("Home End PageUp PageDown", "further"),
    ("?", "this help"),
)


def run_page(report: RunReport, *, history: OutcomeHistory | None = None, title: str = "Test run") -> str:
    """Return a page about a run: each test with what went wrong and what it attached, the workers' timeline, the past.

    Args:
        report: What became of the run.
        history: What came of earlier runs, for the tests of this one.
        title: The heading.
    """
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    data = json.dumps(_data(report, history), separators=(",", ":"), ensure_ascii=False)
    parts = [
        _verdict(report),
        facts(_facts(report)),
        section("Tests", _browser()),
        section(
            "Timeline of the workers",
            '<canvas id="timeline" role="img" aria-label="what each worker ran when"></canvas>',
        ),
        *_slowest(report),
        *_unstable(report, history),
        *_notes(report),
        _help(),
        "<noscript><p class='bad'>The list of tests needs JavaScript, which is all inside this file.</p></noscript>",
        # Inside a script element nothing but its end has a meaning.
        f'<script type="application/json" id="data">{_harmless(data)}</script>\n<script>{script}</script>',
    ]
    return page(title, parts, style=(_HERE / "page.css").read_text(encoding="utf-8"), script_hash=_hash(script))


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _harmless(data: str) -> str:
    lone = data.encode("utf-8", "backslashreplace").decode()  # What a test wrote need not be text.
    return lone.replace("<", "\\u003c")


# The data that the script shows -------------------------------------------------------------------------------------


def _data(report: RunReport, history: OutcomeHistory | None) -> dict[str, Any]:
    outcomes = [name for name in OUTCOMES if report.counts.get(name)]
    workers = sorted({outcome.worker for outcome in report.tests})
    began = min((outcome.started for outcome in report.tests), default=0.0)
    known: Mapping[str, Any] = history.tests if history is not None else {}
    return {
        "outcomes": outcomes,
        "bad": sorted({*FAILING, *report.fail_on}),
        "workers": [f"worker {number}" if number else "this process" for number in workers],
        "seconds": round(max((each.started - began + each.duration for each in report.tests), default=0.0), 3),
        "tests": [_row(each, outcomes, workers, began) for each in report.tests],
        "details": _all_details(report),
        "history": {each.test_id: known[each.test_id].letters for each in report.tests if each.test_id in known},
        "letters": {letter: name for name, letter in LETTERS.items()},
    }


def _row(outcome: TestOutcome, outcomes: Sequence[str], workers: Sequence[int], began: float) -> list[Any]:
    name = outcome.test_id if outcome.attempt == 1 else f"{outcome.test_id} #{outcome.attempt}"
    return [
        name,
        outcomes.index(outcome.outcome),
        round(outcome.started - began, 4),
        round(outcome.duration, 4),
        workers.index(outcome.worker),
        outcome.message.partition("\n")[0][:200],
    ]


def _all_details(report: RunReport) -> dict[int, dict[str, Any]]:
    """Return what there is to say of each test by its place; of those that passed, as much as a browser can take."""
    details: dict[int, dict[str, Any]] = {}
    left = _LETTERS
    for index, outcome in enumerate(report.tests):
        found = _details(outcome)
        size = sum(len(text) for _, text in [*found.get("texts", ()), *found.get("pages", ())])
        if outcome.outcome == "passed" and size:
            left -= size
            if left < 0:
                found = {name: value for name, value in found.items() if name not in {"texts", "pages"}}
                found["texts"] = [("left out", "the output and attachments of a test that passed: there are too many")]
        if found:
            details[index] = found
    return details


def _details(outcome: TestOutcome) -> dict[str, Any]:
    texts = [(problem.subtest or "what went wrong", problem.details) for problem in outcome.problems]
    if outcome.reason and outcome.reason not in {text for _, text in texts}:
        texts.insert(0, ("reason", outcome.reason))
    texts += [("subtests", "\n".join(f"{each.outcome} {each.description} {each.reason}" for each in outcome.subtests))]
    texts += [("output", outcome.output)]
    texts += [(each.name, each.content) for each in outcome.attachments if not _is_html(each.kind)]
    found: dict[str, Any] = {}
    if texts := [(title, text) for title, text in texts if text]:
        found["texts"] = texts
    if pages := [(each.name, each.content) for each in outcome.attachments if _is_html(each.kind)]:
        found["pages"] = pages
    if (declared := outcome.declared) is not None:
        if declared.tags:
            found["tags"] = {name: str(value) for name, value in declared.tags.items()}
        if declared.file and (found or outcome.outcome != "passed"):
            found["place"] = f"{declared.file}:{declared.line}"
    return found


def _is_html(kind: str) -> bool:
    return kind.startswith("text/html")


# What stands on the page without it ---------------------------------------------------------------------------------


def _verdict(report: RunReport) -> str:
    if report.ok:
        return '<p class="good" id="verdict">Everything that was declared ran and passed.</p>'
    reasons = [f"{count} {name.replace('_', ' ')}" for name, count in report.counts.items() if _fails(report, name)]
    if report.interrupted:
        reasons.append("interrupted")
    if report.lost:
        reasons.append(f"{report.lost} of {report.declared} declared tests were not executed")
    if not report.declared:
        reasons.append("there was no test")
    return f'<p class="bad" id="verdict">Failed: {escape("; ".join(reasons))}.</p>'


def _fails(report: RunReport, name: str) -> bool:
    return name in FAILING or name in report.fail_on


def _facts(report: RunReport) -> list[tuple[str, str]]:
    began = min((outcome.started for outcome in report.tests), default=0.0)
    return [
        ("declared", f"{report.declared:,}"),
        ("executed", f"{report.executed:,}"),
        *((name.replace("_", " "), f"{count:,}") for name, count in report.counts.items()),
        ("took", f"{report.duration:.2f} s"),
        ("workers", str(report.workers)),
        ("seed", str(report.seed)),
        ("began", datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Python", platform.python_version()),
    ]


def _browser() -> str:
    orders = (("failed", "failed first"), ("run", "as they ran"), ("slow", "slowest first"), ("name", "by name"))
    options = "".join(f'<option value="{value}">{text}</option>' for value, text in orders)
    return (
        '<div class="bar"><input id="search" type="search" placeholder="/ words of a name, message or tag" '
        f'aria-label="search" autocomplete="off"><select id="order" aria-label="order">{options}</select>'
        '<span id="found" class="dim" role="status"></span></div>\n<div class="bar" id="chips"></div>\n'
        '<div id="tests"><div id="list" role="listbox" aria-label="tests" tabindex="0"><div id="rows"></div></div>'
        '<div id="detail" role="region" aria-label="the selected test" tabindex="-1">'
        '<p class="dim">Choose a test, or press <kbd>?</kbd> for the keys.</p></div></div>'
    )


def _slowest(report: RunReport) -> list[str]:
    slowest = sorted(report.tests, key=lambda outcome: -outcome.duration)[:_SLOWEST]
    if not slowest:
        return []
    total = sum(outcome.duration for outcome in report.tests) or 1.0
    rows = [
        (_link(each), f"{each.duration:.3f} s", f"{each.duration / total:.1%}") for each in slowest if each.duration > 0
    ]
    return [section("Slowest tests", _linked_table(("test", "took", "of all"), rows))]


def _unstable(report: RunReport, history: OutcomeHistory | None) -> list[str]:
    """Return the tests of this run that pass and fail by turns, as far as the past is known."""
    if history is None:
        return []
    ids = {each.test_id: each for each in report.tests}
    unstable = [test for test in history.flaky() if test in ids]
    if not unstable:
        return []
    rows = [(_link(ids[test]), escape(history.tests[test].letters)) for test in unstable]
    note = f"<p class='dim'>In the last {len(history.runs)} runs; the last outcome stands on the right.</p>"
    return [section("Tests that pass and fail by turns", note, _linked_table(("test", "outcomes"), rows))]


def _notes(report: RunReport) -> list[str]:
    notes = [*report.notes, *([f"stopped: {report.stopped}"] if report.stopped else [])]
    return [section("What happened to the run", *(f"<p>{escape(note)}</p>" for note in notes))] if notes else []


def _link(outcome: TestOutcome) -> str:
    name = outcome.test_id if outcome.attempt == 1 else f"{outcome.test_id} #{outcome.attempt}"
    return f'<a href="#" data-test="{escape(name, quote=True)}">{escape(name)}</a>'


def _linked_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<figure><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></figure>"


def _help() -> str:
    rows = "".join(
        "<tr><td>"
        + " ".join(f"<kbd>{escape(key)}</kbd>" for key in keys.split())
        + f"</td><td>{escape(text)}</td></tr>"
        for keys, text in _KEYS
    )
    return (
        f'<dialog id="keys"><h2>Keys</h2><table><tbody>{rows}</tbody></table>'
        '<form method="dialog"><button>Close</button></form></dialog>'
    )
