"""Turns the Python blocks of a page of MyST Markdown into tests.

Sybil finds the blocks: fences, ``{code-block}`` directives, and the invisible code in comments. What a block *means* is
decided here, because the pages show what a reader would write and not what a plain ``exec`` can run:

- ``await`` works at the top of a block; the blocks of one page share one namespace and one event loop;
- the test cases that a block defines are run, and a failure of theirs fails the block;
- a block runs after those before it, in whatever order its tests run, and a failure is that of its own block alone.

A block cannot be skipped, and its language must be one of `LANGUAGES`: otherwise a typing mistake such as ``pyhton``
would be a block that never runs. A page about packages that few have names them in a comment, ``% needs: ray``; it runs
where these are installed, as they are in the environment ``targets``.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import io
import re
import sys
import types
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sybil import Document, Example
from sybil.parsers.myst import CodeBlockParser

from tests.performance.frugal import frugal
from tests.project.support import ROOT

__all__ = ["LANGUAGES", "Page", "check_languages", "needs_of", "suite_of"]

EXAMPLES = ROOT / "examples"
# Anything but "python" is shown, not run: commands, output, configuration.
LANGUAGES = frozenset({"python", "console", "ini", "text"})
FENCE = re.compile(r"^[ \t]*(?P<ticks>`{3,}|~{3,})(?P<info>[^`\n]*)$", re.MULTILINE)
NEEDS = re.compile(r"^% needs: (?P<packages>.+)$", re.MULTILINE)
DIRECTIVE = re.compile(r"^\{(?:code-block|code|sourcecode)\}\s*(?P<language>\S*)")


class Page:
    """One page: the module that its blocks make up, and the event loop they share."""

    def __init__(self, path: Path, *, root: Path) -> None:
        self.name = path.relative_to(root).as_posix()
        self.document = Document.parse(str(path), CodeBlockParser("python", self.evaluate))
        # A real module, because dataclasses and unittest look up the module of a class.
        self.module = types.ModuleType("page_" + re.sub(r"\W", "_", self.name))
        self.loop: asyncio.Runner | None = None

    def open(self) -> None:
        self.waiting = list(self.document.examples())
        self.failures: dict[int, Exception] = {}
        self.before = list(sys.path), set(sys.modules)
        sys.modules[self.module.__name__] = self.module
        self.loop = asyncio.Runner()

    def close(self) -> None:
        assert self.loop is not None
        self.loop.close()
        self.loop = None
        path, modules = self.before
        sys.path[:] = path
        # Those of an example would be taken for others of their names: each has a package `tests`.
        for name in set(sys.modules) - modules:
            if (file := getattr(sys.modules[name], "__file__", None)) and EXAMPLES in Path(file).parents:
                del sys.modules[name]
        del sys.modules[self.module.__name__]

    def run_up_to(self, line: int) -> None:
        """Run what has not run yet of the blocks up to that at *line*; raise what that one raised."""
        while self.waiting and self.waiting[0].line <= line:
            example = self.waiting.pop(0)
            try:
                example.evaluate()
            except Exception as error:  # noqa: BLE001 - it is raised by the test of that block
                self.failures[example.line] = error
        if line in self.failures:
            raise self.failures[line]

    def evaluate(self, example: Example) -> None:
        """Run one block, then the test cases that it defined."""
        namespace = self.module.__dict__
        before = dict(namespace)
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            assert self.loop is not None
            with ThreadPoolExecutor() as executor:  # Its threads end with the block.
                self.loop.get_loop().set_default_executor(executor)
                self.loop.run(types.FunctionType(code, namespace)())
        else:
            exec(code, namespace)
        for name, value in namespace.items():
            if value is not before.get(name) and self.is_own_case(value):
                run_case(value)

    def is_own_case(self, value: Any) -> bool:
        return (
            isinstance(value, type)
            and issubclass(value, unittest.TestCase)
            and value.__module__ == self.module.__name__
        )


def run_case(case: type[unittest.TestCase]) -> None:
    """Run the tests of *case*; a failure, or a case without tests, raises `AssertionError`."""
    suite = unittest.TestLoader().loadTestsFromTestCase(case)
    if not suite.countTestCases():
        raise AssertionError(f"{case.__name__} defines no test")
    report = io.StringIO()
    result = unittest.TextTestRunner(stream=report, verbosity=2).run(suite)
    if not result.wasSuccessful() or result.skipped:
        raise AssertionError(f"the tests of {case.__name__} did not pass:\n{report.getvalue()}")


class BlockTest(unittest.TestCase):
    """One block of a page, in a class of the page's own."""

    page: Page

    def __init__(self, example: Example) -> None:
        super().__init__("runTest")
        self.example = example

    def setUp(self) -> None:
        frugal(self)

    def runTest(self) -> None:
        self.page.run_up_to(self.example.line)

    def id(self) -> str:
        return f"{self.page.name}:{self.example.line}"

    def __str__(self) -> str:
        return self.id()

    @classmethod
    def setUpClass(cls) -> None:
        cls.page.open()
        cls.addClassCleanup(cls.page.close)


def suite_of(path: Path, *, root: Path) -> unittest.TestSuite:
    """Return the tests for the blocks of the page at *path*."""
    lacking = [package for package in needs_of(path) if importlib.util.find_spec(package) is None]
    if lacking:
        return unittest.TestSuite([_skipped(path, root, f"{', '.join(lacking)} not installed")])
    page = Page(path, root=root)
    case = type(page.module.__name__, (BlockTest,), {"page": page})
    return unittest.TestSuite(case(example) for example in page.document.examples())


def needs_of(path: Path) -> list[str]:
    """Return the packages that the page at *path* needs beyond those that all tests have."""
    found = NEEDS.search(path.read_text(encoding="utf-8"))
    return found["packages"].split() if found else []


def _skipped(path: Path, root: Path, reason: str) -> unittest.TestCase:
    name = path.relative_to(root).as_posix()

    @unittest.skip(reason)
    class SkippedPage(unittest.TestCase):
        def runTest(self) -> None:
            pass

        def __str__(self) -> str:
            return name

    return SkippedPage()


def check_languages(path: Path) -> list[str]:
    """Say which blocks of the page at *path* name a language that is neither run nor known not to be."""
    text = path.read_text(encoding="utf-8")
    return [
        f"{path.name}:{line}: a block in {language!r}; use one of {', '.join(sorted(LANGUAGES))}"
        for line, language in languages(text)
        if language not in LANGUAGES
    ]


def languages(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and language of each block of code; other directives, such as notes, are no code."""
    opened: list[str] = []
    for fence in FENCE.finditer(text):
        ticks, info = fence["ticks"], fence["info"].strip()
        if opened and not info and ticks.startswith(opened[-1]):
            opened.pop()
            continue
        opened.append(ticks)
        if directive := DIRECTIVE.match(info):
            info = directive["language"]
        if not info.startswith("{"):
            yield text.count("\n", 0, fence.start()) + 1, info
