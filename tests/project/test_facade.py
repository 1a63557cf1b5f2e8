from __future__ import annotations

import ast
import importlib.metadata
import json
import unittest

import supertester
from tests.project.support import PACKAGE, ROOT, run_python

HEAVY = ("hypothesis", "opentelemetry", "psutil", "tblib", "unittest")


def loaded_by(statement: str, *, names: tuple[str, ...] = HEAVY) -> list[str]:
    """Return which of *names* the statement loads in a fresh interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    found: list[str] = json.loads(run_python(code).splitlines()[-1])
    return found


class TestNames(unittest.TestCase):
    def test_every_name_resolves(self) -> None:
        for name in supertester.__all__:
            with self.subTest(name=name):
                self.assertIsNotNone(getattr(supertester, name))

    def test_a_name_is_the_object_of_its_home(self) -> None:
        for home, names in supertester._HOMES.items():
            for name in names:
                with self.subTest(name=name):
                    self.assertIs(getattr(supertester, name), getattr(importlib.import_module(home), name))

    def test_what_is_loaded_what_type_checkers_see_and_all_agree(self) -> None:
        tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
        [checked] = [
            node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        seen = {
            node.module: tuple(alias.name for alias in node.names)
            for node in checked.body
            if isinstance(node, ast.ImportFrom)
        }
        self.assertEqual(seen, supertester._HOMES)
        own = {"__version__", "version"}
        self.assertEqual({name for names in seen.values() for name in names} | own, set(supertester.__all__))

    def test_dir_lists_names_that_are_not_loaded_yet(self) -> None:
        self.assertIn("GenServer", run_python("import supertester; print(dir(supertester))"))

    def test_a_star_import_gives_the_names(self) -> None:
        self.assertIn("True", run_python("from supertester import *; print(callable(UsageError))"))

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with self.assertRaisesRegex(AttributeError, "'supertester' has no attribute 'GenSever'"):
            _ = supertester.GenSever  # type: ignore[attr-defined]


class TestWeight(unittest.TestCase):
    def test_the_facade_loads_nothing_heavy(self) -> None:
        self.assertEqual(loaded_by("import supertester", names=(*HEAVY, "asyncio")), [])

    def test_a_test_that_only_has_a_tag_loads_nothing_heavy(self) -> None:
        self.assertEqual(loaded_by("from supertester import tag", names=(*HEAVY, "asyncio")), [])

    def test_the_runtime_loads_none_of_the_test_tools(self) -> None:
        self.assertEqual(loaded_by("import supertester.otp"), [])

    def test_the_check_sees_what_is_loaded(self) -> None:
        self.assertEqual(loaded_by("import unittest, psutil"), ["psutil", "unittest"])


class TestVersion(unittest.TestCase):
    def test_it_is_written_down_once(self) -> None:
        self.assertEqual(supertester.version(), supertester.__version__)
        try:
            installed = importlib.metadata.version("supertester")
        except importlib.metadata.PackageNotFoundError:
            self.skipTest("the package is not installed, so there is no second version to compare with")
        self.assertEqual(installed, supertester.__version__)

    def test_the_changelog_speaks_of_it(self) -> None:
        self.assertIn(f"## [{supertester.__version__}]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
