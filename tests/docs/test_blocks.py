"""The runner of the pages' blocks, on pages with planted mistakes."""

from __future__ import annotations

import io
import sys
import tempfile
import unittest
from pathlib import Path

from tests.project.support import ROOT

try:
    from tests.docs.pages import check_languages, suite_of
except ModuleNotFoundError as missing:
    if missing.name != "sybil":
        raise
    raise unittest.SkipTest("sybil, which finds the blocks of a page, is not installed") from None

CASE = """
import unittest

class Planted(unittest.{base}):
    {function} test_it(self):
        {body}
"""


def block(source: str, *, fence: str = "```", info: str = "python") -> str:
    return f"{fence}{info}\n{source}\n{fence}\n"


class TestBlocks(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_page(self, *parts: str, step: int = 1) -> unittest.TestResult:
        path = self.folder / "page.md"
        path.write_text("# A page\n\n" + "\n\n".join(parts), encoding="utf-8")
        suite = unittest.TestSuite(list(suite_of(path, root=self.folder))[::step])
        return unittest.TextTestRunner(stream=io.StringIO()).run(suite)

    def assert_passes(self, *parts: str, blocks: int) -> None:
        result = self.run_page(*parts)
        self.assertEqual((result.testsRun, result.failures, result.errors), (blocks, [], []))

    def assert_breaks(self, words: str, *parts: str) -> str:
        result = self.run_page(*parts)
        [(_, report)] = [*result.failures, *result.errors]
        self.assertIn(words, report)
        return report

    def test_a_block_that_raises_fails(self) -> None:
        self.assert_breaks("ZeroDivisionError", block("1 / 0"))

    def test_a_failure_names_the_line_of_the_page(self) -> None:
        report = self.assert_breaks("AssertionError", block("x = 1"), block("y = 2\nassert x == y"))
        self.assertIn('page.md", line 10', report)

    def test_those_before_a_block_run_before_it_in_whatever_order(self) -> None:
        parts = block("seen = [1]"), block("seen.append(2)"), block("assert seen == [1, 2], seen\nseen.append(3)")
        result = self.run_page(*parts, step=-1)
        self.assertEqual((result.testsRun, result.failures, result.errors), (3, [], []))

    def test_a_failure_is_that_of_its_own_block_in_whatever_order(self) -> None:
        result = self.run_page(block("x = 1"), block("1 / 0"), block("assert x == 1"), step=-1)
        [(test, report)] = result.errors
        self.assertEqual((test.id(), result.failures), ("page.md:8", []))
        self.assertIn("ZeroDivisionError", report)

    def test_what_a_page_puts_on_the_path_and_imports_from_there_goes_with_it(self) -> None:
        folder = ROOT / "examples" / "session_pool"
        before = list(sys.path)
        self.assert_passes(block(f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport session_pool"), blocks=1)
        self.assertEqual(sys.path, before)
        self.assertNotIn("session_pool", sys.modules)

    def test_a_syntax_error_fails(self) -> None:
        self.assert_breaks("SyntaxError", block("def"))

    def test_a_page_runs_where_there_is_what_it_needs(self) -> None:
        self.assert_passes("% needs: json asyncio", block("x = 1"), blocks=1)
        result = self.run_page("% needs: json no_such_package", block("1 / 0"))
        self.assertEqual([reason for _, reason in result.skipped], ["no_such_package not installed"])
        self.assertEqual((result.failures, result.errors), ([], []))

    def test_an_awaited_failure_fails(self) -> None:
        self.assert_breaks("KeyError", block("async def fail():\n    raise KeyError('planted')\nawait fail()"))

    def test_a_failing_test_case_fails_its_block(self) -> None:
        source = CASE.format(base="TestCase", function="def", body="self.assertEqual(1, 2)")
        self.assert_breaks("1 != 2", block(source))

    def test_a_failing_async_test_case_fails_its_block(self) -> None:
        source = CASE.format(base="IsolatedAsyncioTestCase", function="async def", body="self.assertEqual(1, 2)")
        self.assert_breaks("1 != 2", block(source))

    def test_a_skipped_test_fails_its_block(self) -> None:
        self.assert_breaks("skipped", block(CASE.format(base="TestCase", function="def", body="self.skipTest('x')")))

    def test_a_test_case_without_tests_fails_its_block(self) -> None:
        self.assert_breaks("defines no test", block("import unittest\nclass Empty(unittest.TestCase): pass"))

    def test_a_directive_is_a_block_and_so_is_one_inside_a_note(self) -> None:
        self.assert_breaks("planted", block("raise ValueError('planted')", info="{code-block} python"))
        note = "````{note}\n" + block("raise ValueError('planted')") + "````\n"
        self.assert_breaks("planted", note)

    def test_the_blocks_of_a_page_share_names_and_a_loop(self) -> None:
        self.assert_passes(
            block(
                "import asyncio\nasync def running():\n    return asyncio.get_running_loop()\nloop = await running()"
            ),
            block("assert loop is await running()"),
            blocks=2,
        )

    def test_dataclasses_work(self) -> None:
        source = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int"
        )
        self.assert_passes(block(source), block("assert A(1).x == 1"), blocks=2)

    def test_other_languages_are_not_run(self) -> None:
        self.assert_passes(block("no python", info="text"), blocks=0)


class TestLanguages(unittest.TestCase):
    def problems(self, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "page.md")
            path.write_text(text, encoding="utf-8")
            return check_languages(path)

    def test_a_misspelt_language_is_found(self) -> None:
        self.assertEqual(len(self.problems(block("x", info="pyhton"))), 1)
        self.assertEqual(len(self.problems(block("x", info="{code-block} py"))), 1)

    def test_a_block_without_a_language_is_found(self) -> None:
        self.assertEqual(len(self.problems(block("x", info=""))), 1)

    def test_a_block_inside_a_note_is_found(self) -> None:
        self.assertEqual(len(self.problems("````{note}\n" + block("x", info="pycon") + "````\n")), 1)

    def test_known_languages_and_directives_pass(self) -> None:
        text = block("x") + block("$ ls", info="console") + "````{note}\n" + block("x") + "````\n" + block("x")
        self.assertEqual(self.problems(text), [])
