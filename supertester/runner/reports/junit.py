"""The report of a run as JUnit XML, in the dialect that Jenkins reads (``junit-10.xsd`` of its xUnit plugin)."""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from supertester.runner.outcomes import RunReport, TestOutcome

__all__ = ["junit_xml"]

# The characters that XML 1.0 cannot carry, not even escaped.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIXTURE: Final = re.compile(r"(?P<name>\w+) \((?P<owner>.+)\)")
_ERRORS: Final = frozenset({"error", "timeout", "crashed", "lost"})
_SKIPS: Final = frozenset({"skipped", "inconclusive", "expected_failure"})


def junit_xml(report: RunReport) -> str:
    """Return *report* as JUnit XML: a suite for each module, a case for each test and each fixture that failed.

    A timeout, a crash and a lost test are errors, whose type is the name of the outcome; a flaky or contaminated test
    is a failure if it fails the run, else it has passed, with what happened beside it (``flakyFailure``). What was lost
    without a trace is an error of a suite of its own, so that nothing which fails the run is missing from the file.
    """
    root = Element("testsuites", name="supertester", time=_seconds(report.duration))
    ordered = sorted(report.tests, key=lambda outcome: (_suite_of(outcome), outcome.started))
    for name, outcomes in groupby(ordered, key=_suite_of):
        _suite(root, name, list(outcomes), report)
    if (missing := report.lost - report.counts.get("lost", 0)) > 0:
        _suite_of_lost(root, missing, report)
    for kind in ("tests", "failures", "errors"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, name: str, outcomes: Sequence[TestOutcome], report: RunReport) -> None:
    suite = _new_suite(root, name, min(outcome.started for outcome in outcomes), report)
    for outcome in outcomes:
        _case(suite, outcome, fails=report.fails(outcome))
    suite.set("time", _seconds(sum(outcome.duration for outcome in outcomes)))
    _count(suite)


def _suite_of_lost(root: Element, missing: int, report: RunReport) -> None:
    suite = _new_suite(root, "supertester", 0.0, report)
    message = f"{missing} of {report.declared} declared tests were never run to an outcome"
    case = SubElement(suite, "testcase", name="every declared test ran", classname="supertester", time="0.000")
    SubElement(case, "error" if "lost" in report.fail_on else "skipped", type="lost", message=message)
    _count(suite)


def _new_suite(root: Element, name: str, began: float, report: RunReport) -> Element:
    suite = SubElement(root, "testsuite", name=_clean(name), hostname=_clean(socket.gethostname()))
    suite.set("timestamp", datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    properties = SubElement(suite, "properties")
    for key, value in (("seed", report.seed), ("workers", report.workers), ("python", platform.python_version())):
        SubElement(properties, "property", name=key, value=str(value))
    return suite


def _count(suite: Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _case(suite: Element, outcome: TestOutcome, *, fails: bool) -> None:
    class_name, name = _named(outcome)
    case = SubElement(
        suite, "testcase", name=_clean(name), classname=_clean(class_name), time=_seconds(outcome.duration)
    )
    kind = outcome.outcome
    if kind in _SKIPS and not fails:
        SubElement(case, "skipped", type=kind, message=_clean(outcome.reason or outcome.message))
    elif fails:
        _verdict(SubElement(case, "error" if kind in _ERRORS else "failure"), outcome)
    elif kind != "passed":
        flaky = SubElement(case, "flakyFailure", type=kind, message=_clean(outcome.message))
        SubElement(flaky, "stackTrace").text = _clean(outcome.details)
    if text := "".join(_output(outcome)):
        SubElement(case, "system-out").text = _clean(text)


def _verdict(element: Element, outcome: TestOutcome) -> None:
    element.set("type", outcome.outcome)
    element.set("message", _clean(outcome.message))
    element.text = _clean(outcome.details or outcome.reason)


def _output(outcome: TestOutcome) -> Iterable[str]:
    if outcome.output:
        yield outcome.output
    for attachment in outcome.attachments:
        if attachment.kind.startswith("text/plain"):
            yield f"\n--- {attachment.name} ---\n{attachment.content}\n"


def _suite_of(outcome: TestOutcome) -> str:
    if outcome.declared is not None:
        return outcome.declared.module
    owner = _named(outcome)[0]
    is_module = outcome.test_id.startswith(("setUpModule", "tearDownModule"))
    return owner if is_module else owner.rpartition(".")[0] or owner


def _named(outcome: TestOutcome) -> tuple[str, str]:
    """Return the name of the class, or what stands for it, and that of the test."""
    if outcome.declared is not None:
        name = outcome.declared.method or outcome.test_id
        return outcome.declared.class_id, f"{name} #{outcome.attempt}" if outcome.attempt > 1 else name
    found = _FIXTURE.fullmatch(outcome.test_id)
    return (found["owner"], found["name"]) if found else ("supertester", outcome.test_id)


def _seconds(value: float) -> str:
    return f"{max(value, 0.0):.3f}"  # The schema knows no more than three digits.


def _clean(text: str) -> str:
    """Return *text* with each character that XML cannot carry as an escape that can be read."""
    return _FORBIDDEN.sub(lambda found: ascii(found.group())[1:-1], text)
