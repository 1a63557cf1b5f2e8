"""What came of tests in earlier runs: the file ``.supertester/outcomes.txt``, which every run adds to.

It is small and always whole: each test keeps its last `KEEP` outcomes, a test that did not run for `FORGET` runs is
dropped, and a new file takes the place of the old one in one step. Runs in several processes add to it one after
another. It is a memory and no result: a run whose file cannot be read or written goes on without.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Final, NamedTuple

from supertester.runner import files

__all__ = ["FORGET", "KEEP", "LETTERS", "OutcomeHistory", "Past", "Run"]

KEEP: Final = 30
"""How many outcomes of a test are kept."""
FORGET: Final = 200
"""After how many runs a test that did not run is forgotten."""
_NAME: Final = "outcomes.txt"
_TITLE: Final = "outcomes of supertester, version 1"
LETTERS: Final = {
    "passed": ".",
    "failed": "F",
    "error": "E",
    "skipped": "s",
    "expected_failure": "x",
    "unexpected_success": "u",
    "flaky": "~",
    "lost": "?",
    "timeout": "T",
    "crashed": "!",
    "contaminated": "C",
    "inconclusive": "i",
}
"""One letter of the file for each outcome; an outcome that is not here is kept as ``F``."""
_GOOD: Final = frozenset(".sxi")


class Run(NamedTuple):
    """One run: its number, when it began (seconds since 1970), its seed, and how many tests ran and did not pass."""

    number: int
    at: float
    seed: int | None
    tests: int
    bad: int


class Past(NamedTuple):
    """What is known about a test: its last outcomes, oldest first, each a letter, and the number of its last run.

    >>> past = Past("..F.~")
    >>> past.is_flaky, past.has_failed
    (True, False)
    """

    letters: str
    run: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether the last outcome was bad. A test that was flaky has passed in the end."""
        return bool(self.letters) and self.letters[-1] not in _GOOD and self.letters[-1] != "~"

    @property
    def is_flaky(self) -> bool:
        """Whether a rerun passed, or the outcome changed from good to bad and back, in what is remembered."""
        changes = sum((a in _GOOD) != (b in _GOOD) for a, b in itertools.pairwise(self.letters))
        return "~" in self.letters or changes >= 2

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes by name, oldest first."""
        return tuple(_NAMES.get(letter, "failed") for letter in self.letters)

    def followed_by(self, letter: str, run: int) -> Past:
        """Return the same with one more outcome, and without the oldest one if there are too many."""
        return Past((self.letters + letter)[-KEEP:], run)


_NAMES: Final = {letter: name for name, letter in LETTERS.items()}


class OutcomeHistory:
    """The outcomes of earlier runs, as they were when the file was read.

    Args:
        folder: Where the file is, or will be: ``.supertester`` in the folder of the project.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     history = OutcomeHistory.read(folder)
    ...     history.add([("tests.test_till.TestTill.test_pays", "failed")], seed=7341).last_failed()
    ['tests.test_till.TestTill.test_pays']
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        tests: Mapping[str, Past] | None = None,
        runs: tuple[Run, ...] = (),
        problem: str = "",
    ) -> None:
        self.folder = fspath(folder)
        self.tests: Mapping[str, Past] = tests or {}
        """What is known about each test, by its id."""
        self.runs = runs
        """The last runs, oldest first."""
        self.problem = problem
        """Why the file could not be used, for the user to see; empty if it could."""

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> OutcomeHistory:
        """Return what the file in *folder* holds; nothing if there is none, or one that nobody can read."""
        folder = fspath(folder)
        try:
            runs, tests = _parsed(files.read(f"{folder}/{_NAME}"))
        except FileNotFoundError:
            return cls(folder)
        except (OSError, ValueError) as error:
            return cls(folder, problem=f"{folder}/{_NAME} cannot be read and is begun anew: {error!r}")
        return cls(folder, tests, runs)

    def last_failed(self) -> list[str]:
        """Return the tests whose last outcome was bad, those that failed most recently first."""
        failed = [test for test, past in self.tests.items() if past.has_failed]
        return sorted(failed, key=lambda test: (-self.tests[test].run, test))

    def flaky(self) -> list[str]:
        """Return the tests that passed and failed by turns."""
        return sorted(test for test, past in self.tests.items() if past.is_flaky)

    def add(
        self, outcomes: Iterable[tuple[str, str]], *, seed: int | None = None, at: float | None = None
    ) -> OutcomeHistory:
        """Add a run to the file, to what is in it by then, and return the history with it.

        Args:
            outcomes: The id of each test, and its outcome by name.
            seed: The seed of the run.
            at: When it began, in seconds since 1970; by default now.

        The file's folder is made if need be, with a ``.gitignore`` in it. Where that is impossible, the history that is
        returned says so by its `problem`.
        """
        rows = list(outcomes)
        try:
            files.make_folder(self.folder)
            with files.locked(f"{self.folder}/{_NAME}.lock"):
                history = OutcomeHistory.read(self.folder)._with(rows, seed, time.time() if at is None else at)
                history._write()
        except OSError as error:
            return OutcomeHistory(
                self.folder, self.tests, self.runs, f"the history in {self.folder} is not kept: {error}"
            )
        return history

    def _with(self, rows: list[tuple[str, str]], seed: int | None, at: float) -> OutcomeHistory:
        number = self.runs[-1].number + 1 if self.runs else 1
        tests = {test: past for test, past in self.tests.items() if number - past.run < FORGET}
        for test, outcome in rows:
            tests[test] = tests.get(test, Past("")).followed_by(LETTERS.get(outcome, "F"), number)
        bad = sum(LETTERS.get(outcome, "F") not in _GOOD for _, outcome in rows)
        return OutcomeHistory(
            self.folder, tests, (*self.runs, Run(number, at, seed, len(rows), bad))[-FORGET:], self.problem
        )

    def _write(self) -> None:
        runs = (" ".join(["run", *(_word(value) for value in run)]) for run in self.runs)
        tests = (f"{past.letters} {past.run} {_one_line(name)}" for name, past in self.tests.items())
        files.replace(f"{self.folder}/{_NAME}", "\n".join([_TITLE, *runs, *tests, ""]))


def _parsed(text: str) -> tuple[tuple[Run, ...], dict[str, Past]]:
    title, *lines = text.split("\n")
    if title != _TITLE or lines.pop() != "":
        raise ValueError(f"it does not begin with {_TITLE!r}, or does not end with a line")
    runs: list[Run] = []
    tests: dict[str, Past] = {}
    for line in lines:
        letters, number, rest = line.split(" ", 2)
        if letters == "run":
            at, seed, ran, bad = rest.split(" ")
            runs.append(Run(int(number), float(at), None if seed == "-" else int(seed), int(ran), int(bad)))
        else:
            tests[rest.replace("\0", "\n")] = Past(letters, int(number))
    return tuple(runs), tests


def _word(value: float | None) -> str:
    return "-" if value is None else str(value)


def _one_line(name: str) -> str:
    return name.replace("\n", "\0")  # No name has that, so it can be undone.
