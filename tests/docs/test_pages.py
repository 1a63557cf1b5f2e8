from __future__ import annotations

import unittest
from pathlib import Path

from tests.project.support import ROOT

try:
    from tests.docs.pages import check_languages, needs_of, suite_of
except ModuleNotFoundError as missing:
    if missing.name != "sybil":
        raise
    raise unittest.SkipTest("sybil, which finds the blocks of a page, is not installed") from None

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


class TestLanguages(unittest.TestCase):
    def test_every_block_names_a_known_language(self) -> None:
        self.assertEqual([problem for page in PAGES for problem in check_languages(page)], [])

    def test_the_pages_are_there(self) -> None:
        self.assertGreater(len(PAGES), 5)
        self.assertTrue(Path(PAGES[0]).is_file())


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    # The others are among the tests of `tests.targets`.
    tests.addTests(suite_of(page, root=ROOT) for page in PAGES if not needs_of(page))
    return tests
