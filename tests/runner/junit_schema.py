"""Whether a document is JUnit XML as Jenkins reads it: the rules of its schema, as far as they say anything.

One row for each element: which attributes it must and may have, which elements may stand in it, and whether text may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, fromstring

__all__ = ["check_junit"]

_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_NUMBER = re.compile(r"\d+")
_FORMS = {"time": _TIME, "timestamp": _STAMP} | dict.fromkeys(("tests", "failures", "errors", "skipped"), _NUMBER)


@dataclass(frozen=True)
class Rule:
    must: str = ""
    may: str = ""
    children: str = ""
    text: bool = False


_OUTPUT = "system-out system-err"
_VERDICT = Rule(may="type message", text=True)
_AGAIN = Rule(must="type", may="message", children=f"stackTrace {_OUTPUT}", text=True)
RULES = {
    "testsuites": Rule(may="name time tests failures disabled errors", children="testsuite"),
    "testsuite": Rule(
        must="name tests failures errors",
        may="group time skipped timestamp hostname id package file log url version",
        children=f"testsuite properties testcase {_OUTPUT}",
    ),
    "properties": Rule(children="property"),
    "property": Rule(must="name value"),
    "testcase": Rule(
        must="name",
        may="time classname group",
        children=f"skipped error failure rerunFailure rerunError flakyFailure flakyError {_OUTPUT}",
    ),
    "skipped": _VERDICT,
    "error": _VERDICT,
    "failure": _VERDICT,
    **dict.fromkeys(("rerunFailure", "rerunError", "flakyFailure", "flakyError"), _AGAIN),
    **dict.fromkeys(("system-out", "system-err", "stackTrace"), Rule(text=True)),
}


def check_junit(text: str) -> list[str]:
    """Say what is wrong with a document; nothing if it is as it should be."""
    root = fromstring(text.partition("\n")[2])  # `fromstring` takes no text that names its encoding.
    if root.tag != "testsuites":
        return [f"the root is <{root.tag}>"]
    return [*_problems(root), *_miscounted(root)]


def _problems(element: Element) -> Iterator[str]:
    rule = RULES[element.tag]
    must, may = set(rule.must.split()), set(rule.may.split())
    yield from (f"<{element.tag}> has no {name!r}" for name in sorted(must - set(element.keys())))
    yield from (f"<{element.tag}> may have no {name!r}" for name in sorted(set(element.keys()) - must - may))
    for name, form in _FORMS.items():
        if (value := element.get(name)) is not None and not form.fullmatch(value):
            yield f"<{element.tag} {name}={value!r}> is of the wrong form"
    if not rule.text and (element.text or "").strip():
        yield f"<{element.tag}> may hold no text"
    for child in element:
        if child.tag not in rule.children.split():
            yield f"<{child.tag}> may not stand in <{element.tag}>"
        elif child.tag in RULES:
            yield from _problems(child)


def _miscounted(root: Element) -> Iterator[str]:
    for suite in root.iter("testsuite"):
        cases = list(suite.iter("testcase"))
        for name, tag in (("tests", None), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            count = len(cases) if tag is None else sum(case.find(tag) is not None for case in cases)
            if suite.get(name) != str(count):
                yield f"the suite {suite.get('name')!r} says {name}={suite.get(name)!r} and has {count}"
