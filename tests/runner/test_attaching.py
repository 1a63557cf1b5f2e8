from __future__ import annotations

import re
import unittest
from types import SimpleNamespace

from supertester.attachments import Attached, attach, collected
from supertester.context import IsolationContext
from supertester.isolation.scope import _attach_evidence
from supertester.performance.load import LoadReport, run_load
from supertester.runner.attaching import Attacher, rendered
from tests.runner.made import declared, outcome
from tests.runner.test_page import data_of
from tests.runner.test_session import Project

SOURCE = """
import asyncio, logging
from supertester import GenServer, IsolatedTestCase, Scenario, run_scenario
from supertester.attachments import attach
from supertester.performance import run_load

class Counter(GenServer):
    def init(self): return 0
    def handle_call(self, request, sender):
        self.state += 1
        return self.state

class TestC(IsolatedTestCase):
    async def test_all(self):
        logging.getLogger("shop").warning("out of tea")
        self.telemetry.emit("shop.sold", {"count": 3}, {})
        attach("plan", "Seq Scan on orders")
        attach("picture", "<h1>a page</h1>", kind="text/html")
        await run_scenario(Scenario(Counter.start_link, [["next"], ["next"]]))
        await run_load(lambda user: None, users=2, rate=100, duration=0.05)
    async def test_nothing(self):
        pass
"""


class TestWhatIsShown(unittest.IsolatedAsyncioTestCase):
    async def test_a_load_is_a_table_and_a_page(self) -> None:
        report = await run_load(lambda user: None, users=1, rate=50, duration=0.05)
        self.assertIsInstance(report, LoadReport)
        text, page = rendered(Attached("load", report))
        self.assertEqual((text.kind, page.kind), ("text/plain", "text/html"))
        self.assertIn("p99.9", text.content)
        self.assertIn("<svg", page.content)

    async def test_what_cannot_be_shown_is_told_and_what_is_long_is_cut(self) -> None:
        class Bad:
            def __str__(self) -> str:
                raise ZeroDivisionError("no")

        [bad] = rendered(Attached("bad", Bad()))
        self.assertEqual(bad.content, "could not be shown: ZeroDivisionError('no')")
        [long] = rendered(Attached("long", "x" * 300_000))
        self.assertTrue(long.content.endswith("and 100000 more letters"))


class TestEvidence(unittest.TestCase):
    def test_what_has_arrived_is_taken_and_nobody_waits_for_more(self) -> None:
        """A test whose schedules are explored may not wait for the thread that receives telemetry."""
        arrived = SimpleNamespace(inbox=SimpleNamespace(events=lambda: ["shop.sold", "shop.closed"]))
        context = IsolationContext("tests.test_a.TestA.test_x-1", features={"telemetry": arrived})
        with collected() as attached:
            _attach_evidence(context)
        self.assertEqual([(each.name, each.content) for each in attached], [("telemetry", "shop.sold\nshop.closed")])


class TestHowMuchIsKept(unittest.TestCase):
    def kept(self, kind: str) -> list[str]:
        attacher = Attacher()
        test = declared("tests.test_a.TestA.test_x")
        attacher.begin(test)
        for name in "abcd":
            attach(name, "x" * 40_000)
        return [each.name for each in attacher.end(outcome(test.test_id, kind, declared=test)).attachments]

    def test_less_of_a_test_that_passed_than_of_one_that_failed(self) -> None:
        self.assertEqual(self.kept("passed"), ["a", "b", "left out"])
        self.assertEqual(self.kept("failed"), ["a", "b", "c", "d"])


class TestInARun(Project):
    def test_the_page_and_the_xml_hold_what_tests_attached(self) -> None:
        self.write(test_a="", test_b="", test_c=SOURCE)
        self.run_it("--html", "run.html", "--junit", "run.xml")
        page = (self.folder / "run.html").read_text()
        data = data_of(page)
        index = next(n for n, row in enumerate(data["tests"]) if row[0].endswith("test_all"))  # type: ignore[arg-type,var-annotated]
        details = data["details"][str(index)]  # type: ignore[index]
        texts = dict(details["texts"])
        self.assertRegex(texts["log records"], "WARNING.*out of tea")
        self.assertIn("shop.sold", texts["telemetry"])
        self.assertEqual(texts["plan"], "Seq Scan on orders")
        scenario = next(text for name, text in texts.items() if name.startswith("scenario "))
        self.assertIn("the scenario passed", scenario)
        self.assertIn("100.000% succeeded", texts["load of 2 users"])
        self.assertEqual([title for title, _ in details["pages"]], ["picture", "load of 2 users"])
        self.assertIn("--- plan ---\nSeq Scan on orders", (self.folder / "run.xml").read_text())

    def test_without_a_report_nothing_is_collected(self) -> None:
        source = (
            re.sub("attach\\(.*\n", "pass\n", SOURCE) + "        from supertester.attachments import is_collecting\n"
        )
        self.write(test_a="", test_b="", test_c=source + "        self.assertFalse(is_collecting())\n")
        self.run_it()
