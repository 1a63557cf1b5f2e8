"""``python -m unittest`` that also writes down what it counted.

    python tests/counted.py --counts FILE discover -s tests -t .     run, and write the counts to FILE
    python tests/counted.py --counts FILE --junit FILE               run nothing, and count what a report says
    python tests/counted.py --sum FOLDER --status N                  add up every FILE of FOLDER

It imports nothing of the project, so it can run from any folder, beside whatever copy of the package is installed.
A run that executed no test has failed, and so has one that left an exception behind in a finaliser: with warnings
as errors, an unclosed socket or a coroutine that nobody awaited ends up there and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import sys
import unittest
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["Counts", "main", "run", "total"]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    @property
    def ok(self) -> bool:
        """At least one test ran and none failed."""
        return self.passed > 0 and self.failed == 0


class CountingResult(unittest.TextTestResult):
    """Counts tests, not reports: a test with three failed sub-tests is one failed test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.passed += 1

    @property
    def counts(self) -> Counts:
        # A sub-test names the test that it belongs to. A class or module whose set-up failed counts as one.
        def owners(tests: Sequence[Any]) -> set[str]:
            return {str(getattr(test, "test_case", test)) for test in tests}

        failed = owners([test for test, _ in [*self.failures, *self.errors]]) | owners(self.unexpectedSuccesses)
        skipped = owners([test for test, _ in self.skipped]) - failed
        return Counts(passed=self.passed, failed=len(failed), skipped=len(skipped))


class CountingRunner(unittest.TextTestRunner):
    resultclass = CountingResult


def run(arguments: Sequence[str]) -> Counts:
    """Run ``python -m unittest`` with *arguments* and return what it counted."""
    left_behind: list[str] = []

    def remember(unraisable: Any) -> None:
        left_behind.append(f"{unraisable.err_msg or 'Exception ignored in'}: {unraisable.object!r}")
        sys.__unraisablehook__(unraisable)

    sys.unraisablehook, before = remember, sys.unraisablehook
    try:
        program = unittest.main(module=None, argv=["unittest", *arguments], testRunner=CountingRunner, exit=False)
    finally:
        sys.unraisablehook = before
    for line in left_behind:
        print(f"left behind: {line}", file=sys.stderr)
    result = program.result
    assert isinstance(result, CountingResult)
    return result.counts + Counts(failed=len(left_behind))


def reported(path: Path) -> Counts:
    """Count what a report of JUnit's format says."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Counts(passed=len(cases) - failed - skipped, failed=failed, skipped=skipped)


def total(folder: Path) -> Counts:
    """Add up the counts in *folder*, showing each."""
    counted = {path.stem: Counts(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))}
    for name, counts in counted.items():
        print(f"{name:>10}: {counts}")
    return sum(counted.values(), Counts())


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 means that tests ran and all of them passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--counts", type=Path, metavar="FILE")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--sum", type=Path, metavar="FOLDER")
    parser.add_argument("--status", type=int, default=0, metavar="N")
    options, rest = parser.parse_known_args(arguments)
    if options.sum:
        counts = total(options.sum)
        if options.status and not counts.failed:
            # Style, types or a build failed, which are no tests; a closing "0 failed" would still be a lie.
            print(f"a check that is no test failed (exit status {options.status}); it counts as one")
            counts += Counts(failed=1)
        print(counts)
        return 0 if counts.ok else 1
    counts = reported(options.junit) if options.junit else run(rest)
    if options.counts:
        options.counts.parent.mkdir(parents=True, exist_ok=True)
        options.counts.write_text(json.dumps(asdict(counts)))
    if counts.passed + counts.failed == 0:
        print("no test was executed, which counts as a failure", file=sys.stderr)
    return 0 if counts.ok else 1


if __name__ == "__main__":
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).parent]  # Not its folder.
    sys.exit(main(sys.argv[1:]))
