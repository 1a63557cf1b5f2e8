"""What each test changes in its process: run once, in a process of its own, with the state compared after each test."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from supertester._core.origin import is_foreign, is_standard
from supertester.context import IsolationContext
from supertester.isolation.contamination import Comparison
from supertester.runner.declared import DeclaredTest, id_of
from supertester.runner.finding import load_suite
from supertester.runner.loading import tests_in
from supertester.runner.options import Options

__all__ = ["recorded_changes"]

_MOST = 20
"""Changes of one test that are written down."""
_OF_UNITTEST = (".tearDown_exceptions", "._classSetupFailed", "._class_cleanups")
"""What ``unittest`` itself sets on classes of tests."""


def recorded_changes(options: Options, tests: Sequence[DeclaredTest]) -> Mapping[str, Sequence[str]]:
    """Run *tests* one after the other and return what each changed in its process, by id, if it changed anything.

    Compared are the state that `isolation="contamination_detection"` compares, and what the modules of the project
    hold. What a class or module fixture changes is told of the test that it stands before. If the process ends early,
    what came until then is returned.
    """
    asked = {"options": options.loading(), "tests": [test.test_id for test in tests]}
    with tempfile.TemporaryDirectory(prefix="supertester-changes-") as folder:
        answer = Path(folder) / "changes"
        command = [sys.executable, "-m", "supertester.runner.changes", str(answer)]
        subprocess.run(command, input=json.dumps(asked), text=True, capture_output=True, check=False)
        lines = answer.read_text(encoding="utf-8").splitlines() if answer.exists() else []
    return {test: changes for test, changes in map(json.loads, filter(_is_whole, lines)) if changes}


def _is_whole(line: str) -> bool:
    return line.endswith("]")


class _Compared(unittest.TestResult):
    """Compares the process at the end of each test with what it was at the end of the one before."""

    def __init__(self, answer: IO[str]) -> None:
        super().__init__()
        self._answer = answer
        self._before = self._take()

    def _take(self) -> Comparison:
        return Comparison(IsolationContext("changes"), _modules())

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        found = [each for each in self._before.differences() if not each.what.endswith(_OF_UNITTEST)]
        changes = [f"{each.what}: {each.before} -> {each.after}" for each in found[:_MOST]]
        print(json.dumps([id_of(test), changes]), file=self._answer, flush=True)
        self._before = self._take()


def _modules() -> list[str]:
    """Return the modules of the project: neither Python's own nor installed ones, nor this library."""
    return [name for name, module in list(sys.modules.items()) if name != "__main__" and _is_of_the_project(module)]


def _is_of_the_project(module: ModuleType) -> bool:
    filename = getattr(module, "__file__", None)
    if not isinstance(filename, str) or not isinstance(module, ModuleType):
        return False
    return not (is_foreign(filename) or is_standard(filename) or "-packages" in filename)


def _main(answer: str) -> None:
    asked = json.load(sys.stdin)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in asked["options"].items()
    }
    by_id = {id_of(test): test for test in tests_in(load_suite(Options(**given)))}
    with Path(answer).open("w", encoding="utf-8") as file:
        unittest.TestSuite(by_id[name] for name in asked["tests"] if name in by_id).run(_Compared(file))


if __name__ == "__main__":
    _main(sys.argv[1])
