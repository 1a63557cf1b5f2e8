"""Pages and tables about what was measured."""

from __future__ import annotations

import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from supertester.performance import LeakReport, LeakRound
from supertester.performance.load import LoadReport, Timeline
from supertester.reporting import load_page, load_table, memory_page, save_page, text_table
from supertester.reporting.svg import Series, chart, linear_axis, log_axis
from tests.performance.load.test_plan import latencies, report
from tests.runner.browser import Browser, browser_path, opened

SEEN = """
(() => {
  const texts = [...document.querySelectorAll("svg text")].map(text => {
    const own = text.getBoundingClientRect(), box = text.closest("svg").getBoundingClientRect();
    return own.width > 0 && own.left >= box.left - 1 && own.right <= box.right + 2
      && own.top >= box.top - 1 && own.bottom <= box.bottom + 1;
  });
  return {
    charts: [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().height > 100),
    lines: [...document.querySelectorAll("svg polyline")].map(line => line.getTotalLength() > 50),
    texts: texts.every(Boolean) && texts.length > 10,
    fits: document.documentElement.scrollWidth <= innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
  };
})()
"""


def busy_report() -> LoadReport:
    timeline = Timeline()
    for second in range(20):
        for number in range(10):
            timeline.note(second, ok=not (second == 5 and number < 4), latency_ms=number)
    timeline.mark(5.0, "kill <Pid 2 Database 'db'> & the others of the same kind")
    return report(
        latency=latencies(*range(1, 201)), service=latencies(*[1, 2] * 100), operations=200, succeeded=196,
        errors={"OSError": 4}, error_samples=("<peer> & gone",), timeline=timeline, elapsed=20.0,
    )  # fmt: skip


LEAK = LeakReport(
    leaking=True,
    kind="python",
    rounds=tuple(LeakRound(100 * 2**n, 1_600 * 2**n, 16.0, rising=True) for n in range(4)),
    sites=("6400 bytes (+400 blocks) kept from <b>.py:3",),
)


class Tags(HTMLParser):
    """Which tags a page has, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.open)


class TestPages(unittest.TestCase):
    def test_stand_alone(self) -> None:
        for text in (load_page(busy_report()), memory_page(LEAK)):
            tags = Tags(text)
            self.assertEqual((tags.open, tags.addresses), ([], []))
            self.assertNotIn("script", tags.seen)
            self.assertNotRegex(text, r"https?://|url\(|@import")
            self.assertIn("default-src 'none'", text)
            self.assertIn("prefers-color-scheme: dark", text)

    def test_have_what_was_measured_and_nothing_unescaped(self) -> None:
        text = load_page(busy_report(), title="The <pool>")
        for words in ("The &lt;pool&gt;", "98.000%", "OSError", "&lt;peer&gt; &amp; gone", "kill &lt;Pid 2", "99.9"):
            self.assertIn(words, text)
        self.assertIn("The generator kept up", text)
        self.assertIn("Invalid: too slow.", load_page(report(valid=False, invalid_reason="too slow")))
        text = memory_page(LEAK)
        self.assertIn("memory leak detected: 16 bytes a run", text)
        self.assertIn("kept from &lt;b&gt;.py:3", text)
        self.assertIn("No leak.", memory_page(LeakReport(False, "python", LEAK.rounds[:1])))

    def test_of_a_load_in_which_nothing_happened_can_be_made(self) -> None:
        Tags(load_page(report(operations=0, succeeded=0, errors={}, elapsed=0.0)))
        self.assertIn("0 operations", load_table(report(operations=0, succeeded=0, errors={}, elapsed=0.0)))

    def test_are_saved(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = save_page(memory_page(LEAK), Path(folder) / "reports" / "memory.html")
            self.assertIn("<!DOCTYPE html>", path.read_text(encoding="utf-8"))

    @unittest.skipIf(browser_path() is None, "there is no Chromium")
    def test_are_shown_by_a_browser_light_and_dark(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        load = save_page(load_page(busy_report()), folder / "load.html")
        memory = save_page(memory_page(LEAK), folder / "memory.html")
        with opened(load) as browser:
            self.assert_readable(browser)
            browser.open(memory)
            self.assert_readable(browser)

    def assert_readable(self, browser: Browser) -> None:
        for scheme, paper in (("dark", "rgb(20, 24, 29)"), ("light", "rgb(255, 255, 255)")):
            found = self.seen(browser, scheme)
            self.assertTrue(all(found["charts"]) and found["charts"], found)
            self.assertTrue(all(found["lines"]) and found["lines"], found)
            self.assertTrue(found["texts"] and found["fits"], found)
            self.assertEqual(found["paper"], paper)

    def seen(self, browser: Browser, scheme: str) -> dict[str, Any]:
        size = {"width": 900, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
        browser.command("Emulation.setDeviceMetricsOverride", **size)
        browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        found: dict[str, Any] = browser.value(SEEN)
        return found


class TestEvents(unittest.TestCase):
    def page(self, number: int) -> str:
        found = busy_report()
        for second in range(number):
            found.timeline.mark(second, f"worker {second} is killed", "fault")
            found.timeline.mark(second + 0.5, f"worker {second} is back", "recovery")
        return load_page(found)

    def test_a_few_are_listed(self) -> None:
        page = self.page(2)
        self.assertIn("<td>1.50</td><td>worker 1 is back</td><td>recovery</td>", page)
        self.assertNotIn("<details>", page)

    def test_many_are_folded(self) -> None:
        self.assertIn("<summary>20 faults, 20 recoveries, 1 other events</summary>", self.page(20))


class TestCharts(unittest.TestCase):
    def test_are_well_formed(self) -> None:
        drawn = chart(
            'A "title" <&>', linear_axis("s", [10]), log_axis("ms", [0.5, 2_000]),
            [Series("line", ((0, 1), (10, 2_000))), Series("bars", ((1, 0), (2, 5)), "bad", bars=True)],
            marks=[(3, "x" * 50, "event")],
        )  # fmt: skip
        root = ElementTree.fromstring(drawn)
        (line,) = root.iter("polyline")
        self.assertEqual(line.get("points"), "64.0,211.6 744.0,65.0")
        self.assertEqual(len([rect for rect in root.iter("rect") if rect.get("class") == "bad"]), 2)  # And the legend.
        self.assertIn("x" * 29 + "…", drawn)

    def test_marks_that_are_close_have_one_text_and_all_tell_it_to_the_mouse(self) -> None:
        marks = [(5.0, "killed", "fault"), (5.1, "back", "recovery"), (9.0, "killed again", "fault")]
        drawn = chart("", linear_axis("s", [10]), linear_axis("n", [1]), [], marks=marks)
        root = ElementTree.fromstring(drawn)
        self.assertEqual(
            [text.text for text in root.iter("text") if "marked" in text.get("class", "")], ["killed", "killed again"]
        )
        lines = [line for line in root.iter("line") if "mark" in line.get("class", "")]
        self.assertEqual([line.get("class") for line in lines], ["mark fault", "mark recovery", "mark fault"])
        self.assertEqual(
            [line.findtext("title") for line in lines], ["5.00 s: killed", "5.10 s: back", "9.00 s: killed again"]
        )

    def test_axes_hold_their_values(self) -> None:
        for values in ([0.0], [3], [0.001, 0.002], [99_999], [1e9], [-5, 7]):
            axis = linear_axis("", values, low=None)
            self.assertTrue(axis.low <= min(values) <= max(values) <= axis.high, values)
            self.assertTrue(2 <= len(axis.ticks) <= 12, axis.ticks)
        axis = log_axis("", [0.003, 40])
        self.assertEqual([text for _, text in axis.ticks], ["0.001", "0.01", "0.1", "1", "10", "100"])
        self.assertEqual((axis.share(0.001), axis.share(100), axis.share(1e9)), (0, 1, 1))


class TestTables(unittest.TestCase):
    def test_of_a_load(self) -> None:
        lines = load_table(busy_report()).splitlines()
        self.assertEqual(lines[0], "200 operations, 98.000% succeeded, 9.8 per second")
        self.assertEqual(lines[1].split(), ["ms", "p50", "p90", "p95", "p99", "p99.9", "max"])
        self.assertEqual(lines[2].split(), ["from", "due", "100", "180", "190", "198", "-", "200"])
        self.assertEqual(lines[4], "throughput  █████▅██████████████")
        self.assertEqual(lines[5], "errors      4 OSError")
        self.assertIn("invalid     slow", load_table(report(valid=False, invalid_reason="slow")))

    def test_are_aligned(self) -> None:
        self.assertEqual(text_table([("a", "b"), ("ccc", "ddd")]), "a      b\nccc  ddd")
