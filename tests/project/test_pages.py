"""What the pages for newcomers promise about commands and names."""

from __future__ import annotations

import inspect
import re
import unittest
from pathlib import Path

import supertester.otp
from tests.project.support import PACKAGE, ROOT, Planted

REFERENCE = ROOT / "docs" / "reference"


def commands(page: str) -> list[str]:
    return re.findall(r"^```console\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


def undocumented_modules(package: Path, reference: Path) -> list[str]:
    """Return the public modules and folders at the top of *package* that no page of the reference is generated from."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in reference.glob("*.md"))
    documented = set(re.findall(r"^\.\. automodule:: supertester\.(\w+)", pages, re.MULTILINE))
    names = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return sorted(name for name in names - documented if not name.startswith("_"))


class TestTheReadme(unittest.TestCase):
    def setUp(self) -> None:
        self.readme = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_the_continuous_integration_runs_the_second_command(self) -> None:
        _, second = commands(self.readme)
        script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace('"$python"', "python3")
        self.assertIn(second, script)

    def test_every_file_it_links_to_exists(self) -> None:
        links = re.findall(r"\]\(([^):]+)\)", self.readme)
        self.assertGreater(len(links), 5)
        self.assertEqual([link for link in links if not (ROOT / link).is_file()], [])

    def test_the_example_application_is_there(self) -> None:
        self.assertTrue((ROOT / "examples" / "echo_lab").is_dir())


class TestTheReference(unittest.TestCase):
    def test_every_public_module_is_in_it(self) -> None:
        self.assertEqual(undocumented_modules(PACKAGE, REFERENCE), [])

    def test_every_name_of_the_runtime_is_documented(self) -> None:
        page = (REFERENCE / "otp.md").read_text(encoding="utf-8")
        for name in supertester.otp.__all__:
            value = getattr(supertester.otp, name)
            with self.subTest(name=name):
                if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
                    self.assertTrue(inspect.getdoc(value))
                else:  # a constant has no docstring, so the page has to speak of it
                    self.assertIn(f"| `{name}` |", page)


class TestTheCheckOfTheReference(Planted):
    def test_a_module_without_a_page_is_found(self) -> None:
        package = self.plant(facade="", case="", errors="", otp__pid="", _core__clock="")
        (self.folder / "case.md").write_text("```{eval-rst}\n.. automodule:: supertester.case\n```\n")
        (package / "otp" / "__init__.py").touch()
        self.assertEqual(undocumented_modules(package, self.folder), ["errors", "otp"])
