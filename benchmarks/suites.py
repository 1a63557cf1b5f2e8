"""``python -m benchmarks suites``: whether suites of others have the same outcomes by the runner as by ``unittest``.

Their source distributions are downloaded by pip, once for each run of the command, and read from a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

__all__ = ["HOWS", "SUITES", "Compared", "Suite", "compare", "main"]

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 900
"""Seconds that one run may take."""


@dataclass(frozen=True)
class Suite:
    """A package whose source distribution has tests for ``unittest``, under a licence that lets them be run."""

    name: str
    version: str
    licence: str
    tests: str = "tests"
    sources: str = "."


SUITES = (
    Suite("cachetools", "8.0.1", "MIT", sources="src"),
    Suite("markdown", "3.11.3", "BSD"),
    Suite("more-itertools", "11.2.1", "MIT"),
    Suite("pyasn1", "0.6.5", "BSD"),
    Suite("simplejson", "4.3.0", "MIT", tests="simplejson/tests"),
)
HOWS: Mapping[str, tuple[str, ...]] = {
    "-j2": ("-j2",),
    "-j2, shuffled": ("-j2", "--shuffle=7341"),
    "-j2, shuffled again": ("-j2", "--shuffle=1"),
    "-j2, spawned": ("-j2", "--start-method=spawn"),
}
"""The ways to run a suite, and the arguments for them."""

_OURS = """
import json, sys
from supertester.runner.program import run_program
report = run_program(sys.argv[2:])
tests = [(each.test_id, each.outcome) for each in report.tests if not each.is_fixture]
fixtures = {(each.test_id, each.outcome) for each in report.tests if each.is_fixture}
with open(sys.argv[1], "w") as file:
    json.dump([*tests, *fixtures], file)  # In random order, a fixture may run several times.
"""
_THEIRS = """
import json, sys, unittest

class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.words = []
    def startTest(self, test):
        super().startTest(test)
        self.words.append([test.id(), "passed"])
    def note(self, test, word):
        test = getattr(test, "test_case", test)
        if not self.words or self.words[-1][0] != test.id():
            self.words.append([test.id(), word])
        elif self.words[-1][1] != "error":
            self.words[-1][1] = word
    def addFailure(self, test, err): super().addFailure(test, err); self.note(test, "failed")
    def addError(self, test, err): super().addError(test, err); self.note(test, "error")
    def addSkip(self, test, reason): super().addSkip(test, reason); self.note(test, "skipped")
    def addExpectedFailure(self, test, err): super().addExpectedFailure(test, err); self.note(test, "expected_failure")
    def addUnexpectedSuccess(self, test): super().addUnexpectedSuccess(test); self.note(test, "unexpected_success")
    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failed" if issubclass(err[0], test.failureException) else "error")

class Runner(unittest.TextTestRunner):
    resultclass = Result

program = unittest.main(module=None, testRunner=Runner, argv=["unittest", *sys.argv[2:]], exit=False)
with open(sys.argv[1], "w") as file:
    json.dump(program.result.words, file)
"""


@dataclass(frozen=True)
class Ran:
    """A run: the outcome of each test, and how long it took."""

    outcomes: Counter[tuple[str, str]]
    seconds: float

    @property
    def tests(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class Compared:
    """A run of ours beside one of ``unittest``."""

    how: str
    theirs: Ran
    ours: Ran

    @property
    def differences(self) -> list[str]:
        """What one of them says and the other does not."""
        missing = (self.theirs.outcomes - self.ours.outcomes).elements()
        more = (self.ours.outcomes - self.theirs.outcomes).elements()
        return [
            *(f"unittest: {name} {word}" for name, word in sorted(missing)),
            *(f"{self.how}: {name} {word}" for name, word in sorted(more)),
        ]


def compare(
    folder: Path, arguments: Sequence[str], hows: Mapping[str, Sequence[str]] = HOWS, *, sources: str = "."
) -> Iterator[Compared]:
    """Run the suite in *folder* that *arguments* find by ``unittest``, and in each of the ways *hows* by us."""
    theirs = _run(folder, sources, _THEIRS, arguments)
    for how, more in hows.items():
        yield Compared(how, theirs, _run(folder, sources, _OURS, [*arguments, *more, "-q"]))


def _run(folder: Path, sources: str, code: str, arguments: Sequence[str]) -> Ran:
    given = {name: value for name, value in os.environ.items() if not name.startswith("SUPERTESTER_")}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "outcomes.json")
        begun = perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, str(file), *arguments],
            cwd=folder,
            env={**given, "PYTHONPATH": os.pathsep.join([str((folder / sources).resolve()), str(ROOT)])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LONGEST,
            check=False,
        )
        seconds = perf_counter() - begun
        if not file.exists():
            raise RuntimeError(f"the run told of no outcomes; it said:\n{done.stdout}")
        words = json.loads(file.read_text(encoding="utf-8"))
    return Ran(Counter((str(name), str(word)) for name, word in words), seconds)


_DOWNLOAD = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest")


def _downloaded(suite: Suite, folder: Path) -> Path:
    """Return the folder of the sources of *suite*, by the pip of this Python."""
    subprocess.run(
        [*_DOWNLOAD, str(folder), f"{suite.name}=={suite.version}"],
        check=True,
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (found,) = (each for each in folder.iterdir() if each.is_dir())
    return found


def main(arguments: Sequence[str]) -> int:
    """Show what becomes of each suite; 1 if a test has another outcome."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks suites", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(suite.name for suite in SUITES))
    names = parser.parse_args(arguments).names
    if unknown := set(names) - {suite.name for suite in SUITES}:
        parser.error(f"there is no suite {min(unknown)!r}; there are {', '.join(each.name for each in SUITES)}")
    print(f"Python {platform.python_version()}")
    found = [_show(suite) for suite in SUITES if not names or suite.name in names]
    return int(not all(found))


def _show(suite: Suite) -> bool:
    same = True
    with tempfile.TemporaryDirectory(prefix="supertester-suites-") as temporary:
        folder = _downloaded(suite, Path(temporary))
        compared = compare(folder, ["discover", "-s", suite.tests, "-t", "."], sources=suite.sources)
        for number, each in enumerate(compared):
            if number == 0:
                print(f"\n{suite.name} {suite.version} ({suite.licence}): {_words(each.theirs)}")
                print(f"  {'unittest':22}{each.theirs.seconds:8.2f} s")
            differences = each.differences
            same = same and not differences
            print(f"  {each.how:22}{each.ours.seconds:8.2f} s   {len(differences) or 'no'} differences", flush=True)
            for line in differences[:20]:
                print(f"    {line}")
    return same


def _words(ran: Ran) -> str:
    counts: Counter[str] = Counter()
    for (_, word), count in ran.outcomes.items():
        counts[word] += count
    return f"{ran.tests} tests, " + ", ".join(f"{count} {word}" for word, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
