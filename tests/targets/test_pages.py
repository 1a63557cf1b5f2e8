"""The pages about packages that few have run here too, so that the environment that has them runs them."""

from __future__ import annotations

import unittest

from tests.project.support import ROOT

try:
    from tests.docs.pages import needs_of, suite_of
except ModuleNotFoundError as missing:
    if missing.name != "sybil":
        raise
    raise unittest.SkipTest("sybil, which finds the blocks of a page, is not installed") from None


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    tests.addTests(suite_of(page, root=ROOT) for page in sorted((ROOT / "docs").rglob("*.md")) if needs_of(page))
    return tests
