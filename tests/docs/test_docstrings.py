"""Every ``>>>`` example in a docstring of the package runs."""

from __future__ import annotations

import doctest
import gc
import importlib
import unittest
from typing import Any

from tests.project.support import PACKAGE


def modules() -> list[str]:
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.endswith("__main__")]  # importing that would run it


class TestTheSearch(unittest.TestCase):
    def test_every_module_is_searched(self) -> None:
        self.assertLessEqual({"supertester", "supertester.errors", "supertester.otp"}, set(modules()))

    def test_an_example_that_is_wrong_is_found(self) -> None:
        def planted() -> None:
            """Do nothing.

            >>> 1 + 1
            3
            """

        [found] = doctest.DocTestFinder().find(planted, "planted", globs={})
        result = unittest.TestResult()
        doctest.DocTestCase(found).run(result)
        [(_, report)] = [*result.failures, *result.errors]
        self.assertIn("Expected:\n    3\nGot:\n    2", report)


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    # Who looks for leaks collects again and again, and beside an example there is much to look at.
    frugal: dict[str, Any] = {"setUp": lambda _: gc.freeze(), "tearDown": lambda _: gc.unfreeze()}
    tests.addTests(doctest.DocTestSuite(importlib.import_module(name), **frugal) for name in modules())
    return tests
