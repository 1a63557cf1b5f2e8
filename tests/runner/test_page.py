from __future__ import annotations

import json
import re
import tempfile
import unittest
from pathlib import Path

from supertester.runner.outcome_history import OutcomeHistory
from supertester.runner.outcomes import Attachment, RunReport, Subtest
from supertester.runner.reports.page import run_page
from tests.alone import alone
from tests.runner.browser import Browser, browser_path, opened
from tests.runner.made import declared, outcome, report

EVIL = "</script><script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"


def many(count: int = 10_000) -> RunReport:
    """Return a report of as many tests as a large suite has; two of them failed, one is flaky."""
    kinds = {count // 2: "failed", count - 3: "error", 3: "flaky"}
    outcomes = [
        outcome(
            f"tests.part{index // 500}.test_m{index // 50}.TestC{index // 10}.test_number_{index}",
            kinds.get(index, "passed"),
            message=f"AssertionError: {index} is wrong" if index in kinds else "",
            started=1000.0 + index * 0.001,
            duration=0.002,
            worker=1 + index % 4,
        )
        for index in range(count)
    ]
    return report(*outcomes, workers=4)


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


class TestWhatThePageHolds(unittest.TestCase):
    def test_it_stands_alone(self) -> None:
        page = run_page(many(50))
        self.assertNotRegex(page, r"(?:src|href)=\"(?!#)")
        self.assertIn("default-src 'none'", page)
        self.assertRegex(page, r"script-src 'sha256-[A-Za-z0-9+/=]{44}'")

    def test_nothing_of_a_test_gets_out_of_the_data(self) -> None:
        page = run_page(report(outcome(f"t.{EVIL}", "failed", message=EVIL, output=EVIL + "\udcff"), notes=(EVIL,)))
        self.assertEqual(page.count("<script"), 2)
        self.assertNotIn("<img", page)
        self.assertIn("\\udcff", page)

    def test_the_verdict_says_why_a_run_failed(self) -> None:
        for made, words in [
            (report(outcome("a.b.C.d")), "Everything that was declared ran and passed."),
            (
                report(outcome("a.b.C.d", "failed"), outcome("a.b.C.e", "unexpected_success")),
                "1 failed; 1 unexpected success",
            ),
            (report(outcome("a.b.C.d"), declared=3), "2 of 3 declared tests were not executed"),
            (report(), "there was no test"),
            (report(outcome("a.b.C.d"), interrupted=True), "interrupted"),
        ]:
            with self.subTest(words=words):
                self.assertIn(words, run_page(made))

    def test_details_hold_all_that_is_known_of_a_test(self) -> None:
        made = outcome(
            "a.b.C.d",
            "failed",
            message="boom",
            details="Traceback: boom",
            output="printed",
            subtests=(Subtest(description="(i=3)", outcome="failed", reason="boom"),),
            attachments=(
                Attachment(name="log", kind="text/plain", content="rec"),
                Attachment(name="load", kind="text/html", content="<p>"),
            ),
            declared=declared("a.b.C.d", tags={"layer": "unit"}, file="/b.py", line=7),
        )
        details = data_of(run_page(report(made)))["details"]["0"]  # type: ignore[index]
        texts = dict(details["texts"])
        self.assertEqual(texts["what went wrong"], "Traceback: boom")
        self.assertEqual((texts["output"], texts["log"], texts["subtests"]), ("printed", "rec", "failed (i=3) boom"))
        self.assertEqual(
            (details["pages"], details["tags"], details["place"]), ([["load", "<p>"]], {"layer": "unit"}, "/b.py:7")
        )

    def test_tests_that_pass_and_fail_by_turns_are_listed_with_their_past(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("passed", "failed", "passed"):
                OutcomeHistory.read(folder).add([("a.b.C.d", kind), ("a.b.C.gone", kind)])
            page = run_page(report(outcome("a.b.C.d", duration=0.1)), history=OutcomeHistory.read(folder))
        self.assertIn("Tests that pass and fail by turns", page)
        self.assertIn(".F.", page)
        self.assertEqual(data_of(page)["history"], {"a.b.C.d": ".F."})
        self.assertNotIn("gone", page)

    def test_what_passed_tests_wrote_is_bounded_and_that_is_said(self) -> None:
        outcomes = [outcome(f"a.b.C.d{n}", output="x" * 10_000_000) for n in range(5)]
        failed = outcome("a.b.C.bad", "failed", message="boom", output="y" * 1000)
        details = data_of(run_page(report(*outcomes, failed)))["details"]
        lengths = [len(details[str(n)]["texts"][0][1]) for n in range(3)]  # type: ignore[index]
        self.assertEqual(lengths, [10_000_000] * 3)
        self.assertIn("too many", details["4"]["texts"][0][1])  # type: ignore[index]
        self.assertIn("y" * 1000, str(details["5"]))  # type: ignore[index]

    def test_a_test_that_ran_three_times_has_three_rows(self) -> None:
        page = run_page(report(*[outcome("a.b.C.d", attempt=n) for n in (1, 2, 3)]))
        self.assertEqual([row[0] for row in data_of(page)["tests"]], ["a.b.C.d", "a.b.C.d #2", "a.b.C.d #3"])  # type: ignore[attr-defined]


@alone("its tests share one browser")
@unittest.skipUnless(browser_path(), "there is no Chromium here")
class TestInABrowser(unittest.TestCase):
    """One page of ten thousand tests, in a browser that is started once for the class."""

    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        evil = outcome("z.test_evil.TestEvil.test_evil", "failed", message=EVIL, output=EVIL, started=1011.0)
        evil = type(evil)(**{**vars(evil), "attachments": (Attachment(name="load", kind="text/html", content=EVIL),)})
        page = folder / "run.html"
        page.write_text(run_page(report(*many().tests, evil, workers=4)), encoding="utf-8")
        cls.browser = cls.enterClassContext(opened(page))

    def setUp(self) -> None:
        self.browser.value("search = document.getElementById('search'); search.value = ''; search.oninput(); 0")
        self.browser.value("for (const chip of document.querySelectorAll('.chip[aria-pressed=true]')) chip.click(); 0")
        self.browser.value("document.getElementById('list').focus(); 0")
        self.browser.press("Home")

    def text(self, selector: str) -> str:
        return str(self.browser.value(f"document.querySelector({selector!r}).textContent"))

    def search(self, words: str) -> None:
        self.browser.press("/")
        self.browser.command("Input.insertText", text=words)

    def test_it_came_up_without_a_complaint(self) -> None:
        self.assertEqual(self.browser.value("document.documentElement.dataset.ready"), "yes")
        complaints = [each for each in self.browser.complaints() if "srcdoc" not in each and "sandbox" not in each]
        self.assertEqual(complaints, [])

    def test_only_what_can_be_seen_is_there(self) -> None:
        self.assertEqual(self.text("#found"), "10,001 of 10,001 tests")
        self.assertLess(self.browser.value("document.querySelectorAll('.row').length"), 100)
        self.browser.press("End")
        self.assertIn("test_number_9999", self.text("#detail h3"))
        self.assertLess(self.browser.value("document.querySelectorAll('.row').length"), 100)

    def test_what_failed_is_on_top_and_chosen(self) -> None:
        kinds = self.browser.value(
            "[...document.querySelectorAll('.row .outcome')].slice(0, 5).map(e => e.textContent)"
        )
        self.assertEqual(kinds, ["flaky", "failed", "error", "failed", "passed"])
        self.assertIn("test_number_3", self.text("#detail h3"))

    def test_keys_walk_through_the_tests(self) -> None:
        self.browser.press("j", "j")
        self.assertIn("test_number_9997", self.text("#detail h3"))
        self.browser.press("k")
        self.assertIn("test_number_5000", self.text("#detail h3"))
        self.browser.press("n")
        self.assertIn("test_number_9997", self.text("#detail h3"))
        self.browser.press("p", "p")
        self.assertIn("test_number_3", self.text("#detail h3"))
        self.assertEqual(self.browser.value("document.querySelector('[aria-selected=true]').id"), "row-3")
        self.assertEqual(
            self.browser.value("document.getElementById('list').getAttribute('aria-activedescendant')"), "row-3"
        )

    def test_words_are_searched_in_names_and_messages(self) -> None:
        self.search("part9 number_4321")
        self.assertEqual(self.text("#found"), "0 of 10,001 tests")
        self.browser.press("Escape")
        self.search("part8 number_4321")
        self.assertEqual(self.text("#found"), "1 of 10,001 tests")
        self.browser.press("Escape")
        self.search("5000 IS wrong")
        self.browser.press("Enter")
        self.assertIn("test_number_5000", self.text("#detail h3"))
        self.assertEqual(self.browser.value("document.activeElement.id"), "list")

    def test_keys_that_are_typed_into_the_search_do_nothing_else(self) -> None:
        before = self.text("#detail h3")
        self.browser.press("/", "j", "n")
        self.assertEqual(self.browser.value("document.getElementById('search').value"), "jn")
        self.assertEqual(self.text("#detail h3"), before)

    def test_outcomes_are_chosen_by_their_chips(self) -> None:
        self.browser.value("document.querySelector('.chip.error').click()")
        self.assertEqual(self.text("#found"), "1 of 10,001 tests")
        self.browser.value("document.querySelector('.chip.flaky').click()")
        self.assertEqual(self.text("#found"), "2 of 10,001 tests")

    def test_help_opens_and_closes_by_key(self) -> None:
        self.browser.press("?")
        self.assertTrue(self.browser.value("document.getElementById('keys').open"))
        self.browser.value("document.getElementById('keys').close()")

    def test_a_link_leads_to_its_test_also_if_it_is_filtered_out(self) -> None:
        self.search("nothing has this name")
        self.browser.value("document.querySelector('[data-test]').click()")
        self.assertEqual(self.text("#found"), "10,001 of 10,001 tests")
        self.assertEqual(
            self.browser.value("document.querySelector('[data-test]').dataset.test"), self.text("#detail h3")
        )

    def test_the_timeline_is_painted_and_leads_to_a_test(self) -> None:
        painted = (
            "[...document.getElementById('timeline').getContext('2d').getImageData(95, 5, 200, 60).data].some(Boolean)"
        )
        self.assertTrue(self.browser.value(painted))
        box = self.browser.value("JSON.stringify(document.getElementById('timeline').getBoundingClientRect())")
        left, top = json.loads(box)["left"], json.loads(box)["top"]
        click = f"new MouseEvent('click', {{clientX: {left} + 300, clientY: {top} + 30}})"
        self.browser.value(f"document.getElementById('timeline').onclick({click})")
        self.assertIn("worker 1", self.text("#detail .facts"))

    def test_nothing_that_a_test_wrote_runs(self) -> None:
        self.search("test_evil")
        self.browser.press("Enter")
        self.assertIn("onerror", self.text("#detail pre"))
        self.assertEqual(self.browser.value("document.querySelectorAll('#detail iframe').length"), 1)
        self.assertEqual(self.browser.value("document.title"), "Test run")
