"""The table of the examples that says which test of the session pool shows what, and which one has to fail."""

from __future__ import annotations

import re
from pathlib import Path

from tests.project.support import ROOT, Planted
from tests.project.test_echo_lab import tests_of

__alone__ = "parses much source, which Python 3.11 cannot do in several threads at once"

EXAMPLES = ROOT / "examples"
ROW = re.compile(r"^\| ([DSX][^|]*?) \|[^|]*\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
NAME = re.compile(r"`([\w/]+\.py)`|`(test_\w+)`")


def section(readme: str) -> str:
    return readme.partition("## What the tests of the session pool show\n")[2].partition("\n## ")[0]


def problems(table: str, pool: Path) -> list[str]:
    """Say which rows name files or tests that do not exist, or no test at all."""
    found = []
    for row, *cells in ROW.findall(table):
        names: set[str] = set()
        present: set[str] = set()
        for file, test in NAME.findall("".join(cells)):
            if file:
                path = ROOT / file if file.startswith("tests/") else pool / "tests" / file
                present = {each.rpartition(".")[2] for each in tests_of(path)} if path.is_file() else set()
                found += [] if path.is_file() else [f"{row}: there is no {file}"]
            elif test not in present:
                found.append(f"{row}: there is no {test} there")
            names.add(file or test)
        if not names and "tox" not in cells[0]:
            found.append(f"{row} names no test")
    return found


class TestTheTable(Planted):
    def test_every_row_names_tests_that_exist(self) -> None:
        table = section((EXAMPLES / "README.md").read_text(encoding="utf-8"))
        rows = [row for row, *_ in ROW.findall(table)]
        self.assertEqual(rows[:36], [f"D{number}" for number in range(1, 37)])
        self.assertEqual(problems(table, EXAMPLES / "session_pool"), [])

    def test_what_is_missing_is_found(self) -> None:
        (self.folder / "tests").mkdir()
        (self.folder / "tests" / "a.py").write_text("class A:\n    def test_b(self): ...\n", encoding="utf-8")
        table = "\n".join(
            [
                "| D1 | there | `a.py`: `test_b` | `test_b` |",
                "| D2 | gone | `a.py`: `test_c` | `z.py` |",
                "| D3 | none | words | words |",
            ]
        )
        self.assertEqual(
            problems(table, self.folder), ["D2: there is no test_c there", "D2: there is no z.py", "D3 names no test"]
        )
