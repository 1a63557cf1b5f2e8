from __future__ import annotations

import unittest
from xml.etree.ElementTree import Element, fromstring

from supertester.runner.outcomes import OUTCOMES, Attachment, RunReport
from supertester.runner.reports.junit import junit_xml
from tests.runner.junit_schema import check_junit
from tests.runner.made import outcome, report

__tags__ = {"layer": "unit"}


class Written(unittest.TestCase):
    def written(self, made: RunReport) -> Element:
        text = junit_xml(made)
        self.assertEqual(check_junit(text), [])
        return fromstring(text.partition("\n")[2])

    def case(self, kind: str, **more: object) -> Element:
        fail_on = frozenset(more.pop("fail_on", ()))  # type: ignore[call-overload]
        made = report(outcome("tests.test_a.TestA.test_x", kind, **more), fail_on=fail_on)  # type: ignore[arg-type]
        [case] = self.written(made).iter("testcase")
        return case


class TestCases(Written):
    def test_every_outcome_is_written_whether_or_not_it_fails_the_run(self) -> None:
        for kind in OUTCOMES:
            for fail_on in ((), (kind,)):
                with self.subTest(kind=kind, fail_on=fail_on):
                    case = self.case(kind, message="boom", reason="why", fail_on=fail_on)
                    bad = kind in {"failed", "error", "timeout", "crashed", "unexpected_success"} or kind in fail_on
                    self.assertEqual(any(case.find(tag) is not None for tag in ("failure", "error")), bad)

    def test_a_test_has_the_name_of_its_class_and_of_its_method(self) -> None:
        case = self.case("passed", duration=0.12345)
        self.assertEqual(case.attrib, {"name": "test_x", "classname": "tests.test_a.TestA", "time": "0.123"})
        self.assertEqual(self.case("passed", attempt=3).get("name"), "test_x #3")

    def test_a_failure_has_its_message_and_its_text(self) -> None:
        failure = self.case("failed", message="AssertionError: 1 != 2", details="Traceback\n1 != 2").find("failure")
        assert failure is not None
        self.assertEqual(failure.attrib, {"type": "failed", "message": "AssertionError: 1 != 2"})
        self.assertEqual(failure.text, "Traceback\n1 != 2")

    def test_a_timeout_and_a_crash_are_errors_with_their_kind(self) -> None:
        for kind in ("timeout", "crashed", "error"):
            error = self.case(kind, message="killed by SIGSEGV").find("error")
            assert error is not None
            self.assertEqual((error.get("type"), error.get("message")), (kind, "killed by SIGSEGV"))

    def test_a_skipped_test_has_its_reason(self) -> None:
        skipped = self.case("skipped", reason="no network").find("skipped")
        assert skipped is not None
        self.assertEqual(skipped.get("message"), "no network")

    def test_a_flaky_test_that_does_not_fail_the_run_has_passed_with_what_failed_first(self) -> None:
        flaky = self.case("flaky", message="boom", details="Traceback").find("flakyFailure")
        assert flaky is not None
        self.assertEqual((flaky.get("message"), flaky.findtext("stackTrace")), ("boom", "Traceback"))

    def test_output_and_attached_texts_are_kept(self) -> None:
        attachments = (
            Attachment(name="log", kind="text/plain", content="a record"),
            Attachment(name="load", kind="text/html", content="<h1>Load</h1>"),
        )
        text = self.case("passed", output="printed\n", attachments=attachments).findtext("system-out") or ""
        self.assertIn("printed", text)
        self.assertIn("--- log ---\na record", text)
        self.assertNotIn("Load", text)

    def test_what_xml_cannot_carry_can_be_read_all_the_same(self) -> None:
        failure = self.case("failed", message="a\x00b\x1b[31m\udcff\uffff]]>&<é\U0001f600").find("failure")
        assert failure is not None
        self.assertEqual(failure.get("message"), "a\\x00b\\x1b[31m\\udcff\\uffff]]>&<é\U0001f600")


class TestSuites(Written):
    def test_a_suite_for_each_module(self) -> None:
        root = self.written(report(outcome("m.a.C.test_1"), outcome("m.b.C.test_1", "failed"), outcome("m.a.D.test_2")))
        self.assertEqual([(suite.get("name"), suite.get("tests")) for suite in root], [("m.a", "2"), ("m.b", "1")])
        self.assertEqual((root.get("tests"), root.get("failures"), root.get("errors")), ("3", "1", "0"))
        properties = {each.get("name"): each.get("value") for each in root[0].iter("property")}
        self.assertEqual(properties["seed"], "7341")

    def test_a_fixture_that_failed_stands_with_its_class_or_module(self) -> None:
        root = self.written(
            report(
                outcome("m.a.C.test_1", "lost"),
                outcome("setUpClass (m.a.C)", "error", declared=None, message="boom"),
                outcome("setUpModule (m.b)", "error", declared=None, message="boom"),
            )
        )
        self.assertEqual([suite.get("name") for suite in root], ["m.a", "m.b"])
        names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
        self.assertIn(("m.a.C", "setUpClass"), names)
        self.assertIn(("m.b", "setUpModule"), names)

    def test_tests_that_left_no_trace_are_an_error(self) -> None:
        root = self.written(report(outcome("m.a.C.test_1"), declared=5))
        [error] = root.iter("error")
        self.assertEqual(error.get("message"), "4 of 5 declared tests were never run to an outcome")
        self.assertEqual(root.get("errors"), "1")

    def test_a_run_of_nothing_is_a_document_too(self) -> None:
        self.assertEqual(len(self.written(report())), 0)


class TestTheCheck(unittest.TestCase):
    """The check finds what is wrong: otherwise the other tests would prove nothing."""

    def test_documents_that_break_the_schema_are_found(self) -> None:
        suite = '<testsuite name="a" tests="{}" failures="0" errors="0">{}</testsuite>'
        for body, problem in {
            suite.format(2, '<testcase name="t"/>'): "says tests='2' and has 1",
            suite.format(1, "<testcase/>"): "<testcase> has no 'name'",
            suite.format(1, '<testcase name="t" file="x"/>'): "<testcase> may have no 'file'",
            suite.format(1, '<testcase name="t" time="1.2345"/>'): "is of the wrong form",
            suite.format(1, '<testcase name="t"><flakyFailure/></testcase>'): "<flakyFailure> has no 'type'",
            suite.format(1, '<testcase name="t">text</testcase>'): "<testcase> may hold no text",
            suite.format(0, "<failure/>"): "<failure> may not stand in <testsuite>",
        }.items():
            with self.subTest(problem=problem):
                found = check_junit(f"<?xml?>\n<testsuites>{body}</testsuites>")
                self.assertTrue(any(problem in each for each in found), found)
