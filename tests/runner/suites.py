"""Small suites in folders of their own, and ``python -m supertester`` on them, as a user would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import supertester
from tests.interruptible import PYTHON

__all__ = ["PLAIN", "Finished", "begin", "environment", "folder_with", "run_suite", "run_unittest"]

ROOT = Path(supertester.__file__).parents[1]
LONG = 120
"""Seconds after which a run counts as hung."""
PLAIN = {
    f"test_{name}.py": f"""
        import unittest

        class Test{name.title()}(unittest.TestCase):
            def test_1(self): ...
            def test_2(self): ...
            def test_3(self): ...
            def test_4(self): ...
            def test_5(self): ...
    """
    for name in ("alpha", "beta", "gamma", "delta")
}
"""Four modules with five tests each, which pass."""
_LINE = re.compile(r"^(?:running for .*\n)?(?P<name>[^\n]*?\S) \.\.\. (?P<word>[^\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    status: int
    text: str
    """What it said: standard output and error."""
    marks: tuple[str, ...]
    """The lines that tests wrote to the file that ``MARKS`` names."""

    @cached_property
    def outcomes(self) -> dict[str, str]:
        """The word for each test, by its name and class: ``{"test_1 TestAlpha": "ok"}``."""
        return {_short(found["name"]): _word(found["word"]) for found in _LINE.finditer(self.text)}

    def count(self, word: str) -> int:
        """Return how many tests have an outcome that is called so."""
        return sum(each == word for each in self.outcomes.values())


def _short(name: str) -> str:
    found = re.fullmatch(r"(\S+) \((?:[^()]*\.)?([^().]+)\.\1\)(.*)", name)
    return f"{found[1]} {found[2]}{found[3]}" if found else name


def _word(word: str) -> str:
    return word.partition(" '")[0].partition(' "')[0]


@contextmanager
def folder_with(files: Mapping[str, str]) -> Iterator[Path]:
    """Have a folder with *files*; ``MARKS`` in their environment names a file to append lines to."""
    with tempfile.TemporaryDirectory(prefix="supertester-suite-") as name:
        for file, text in files.items():
            path = Path(name, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        yield Path(name)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a run in *folder*, untouched by that of this one."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("SUPERTESTER_", "COVERAGE_"))}
    return {**given, "PYTHONPATH": str(ROOT), "MARKS": str(folder / "marks"), **more}


def begin(folder: Path, *arguments: str, module: str = "supertester", **more: str) -> subprocess.Popen[str]:
    """Begin ``python -m supertester``, another module or a file in *folder*, in a process group of its own."""
    return subprocess.Popen(
        [*PYTHON, *([] if module.endswith(".py") else ["-m"]), module, *arguments],
        cwd=folder,
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], folder: Path) -> Finished:
    """Wait for the end of a run, which has to come."""
    try:
        text, _ = process.communicate(timeout=LONG)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
        raise AssertionError(f"the run hung; it said:\n{text}") from None
    marks = folder / "marks"
    lines = tuple(marks.read_text(encoding="utf-8").splitlines()) if marks.exists() else ()
    return Finished(process.returncode, text, lines)


def run_suite(files: Mapping[str, str], *arguments: str, module: str = "supertester", **more: str) -> Finished:
    """Run ``python -m supertester -v`` on *files* to its end."""
    with folder_with(files) as folder:
        return finish(begin(folder, "-v", *arguments, module=module, **more), folder)


_UNITTEST = """
import json, os, sys, unittest

class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.words = {}
    def note(self, test, word):
        name = test.id()
        if self.words.get(name) not in {"FAIL", "ERROR"} or word == "ERROR":
            self.words[name] = word
    def addSuccess(self, test): super().addSuccess(test); self.note(test, "ok")
    def addFailure(self, test, err): super().addFailure(test, err); self.note(test, "FAIL")
    def addError(self, test, err): super().addError(test, err); self.note(test, "ERROR")
    def addSkip(self, test, reason): super().addSkip(test, reason); self.note(test, "skipped")
    def addExpectedFailure(self, test, err): super().addExpectedFailure(test, err); self.note(test, "expected failure")
    def addUnexpectedSuccess(self, test): super().addUnexpectedSuccess(test); self.note(test, "unexpected success")
    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "FAIL" if issubclass(err[0], test.failureException) else "ERROR")

class Runner(unittest.TextTestRunner):
    resultclass = Result

program = unittest.main(module=None, testRunner=Runner, exit=False)
with open(os.environ["MARKS"], "a") as file:
    file.write(json.dumps(program.result.words))
sys.exit(not program.result.wasSuccessful())
"""


def run_unittest(files: Mapping[str, str], *arguments: str) -> tuple[dict[str, str], int]:
    """Return the word that ``python -m unittest`` has for each test, by its short name, and its exit status."""
    with folder_with(files) as folder:
        (folder / "runs_unittest.py").write_text(_UNITTEST, encoding="utf-8")
        finished = finish(begin(folder, *arguments, module="runs_unittest"), folder)
        words: dict[str, str] = json.loads(finished.marks[0])
    return {_short_id(name): word for name, word in words.items()}, finished.status


def _short_id(name: str) -> str:
    parts = name.split(".")
    return name if "(" in name or len(parts) < 2 else f"{parts[-1]} {parts[-2]}"
