"""The table of EchoLab's README that says where each of the 57 tests of the other EchoLab is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.project.support import ROOT, Planted

__alone__ = "parses much source, which Python 3.11 cannot do in several threads at once"

LAB = ROOT / "examples" / "echo_lab"
ROW = re.compile(r"^\| EL-(\d+) \|[^|]*\|([^|]*)\|$", re.MULTILINE)


def tests_of(path: Path) -> set[str]:
    """Return the tests in a file, as ``Class.test_name``."""
    return {
        f"{cls.name}.{each.name}"
        for cls in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(cls, ast.ClassDef)
        for each in cls.body
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name.startswith("test")
    }


def problems(readme: str, lab: Path) -> list[str]:
    """Say which rows of the table name no test, or one that does not exist."""
    found = []
    for number, cell in ROW.findall(readme):
        named = 0
        for file, names in re.findall(r"`(tests/\w+\.py)`: ([^;]*)", cell):
            present = tests_of(lab / file) if (lab / file).is_file() else set()
            listed = re.findall(r"`([\w.]+)`", names)
            named += len(listed)
            found += [f"EL-{number}: there is no {name} in {file}" for name in listed if name not in present]
        if not named:
            found.append(f"EL-{number} names no test")
    return found


class TestTheTable(Planted):
    def test_every_test_that_it_names_exists(self) -> None:
        readme = (LAB / "README.md").read_text(encoding="utf-8")
        self.assertEqual([int(number) for number, _ in ROW.findall(readme)], list(range(1, 58)))
        self.assertEqual(problems(readme, LAB), [])

    def test_what_is_missing_is_found(self) -> None:
        (self.folder / "tests").mkdir()
        (self.folder / "tests" / "test_a.py").write_text("class A:\n    def test_b(self): ...\n", encoding="utf-8")
        readme = "\n".join(
            [
                "| EL-1 | there | `tests/test_a.py`: `A.test_b` |",
                "| EL-2 | gone | `tests/test_a.py`: `A.test_b`, `A.test_c`; `tests/test_z.py`: `Z.test_z` |",
                "| EL-3 | none | |",
            ]
        )
        self.assertEqual(
            problems(readme, self.folder),
            [
                "EL-2: there is no A.test_c in tests/test_a.py",
                "EL-2: there is no Z.test_z in tests/test_z.py",
                "EL-3 names no test",
            ],
        )
