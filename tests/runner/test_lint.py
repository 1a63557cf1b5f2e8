from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from supertester.errors import UsageError
from supertester.runner.lint import check_no_sleep, python_files

__tags__ = {"layer": "unit"}

__alone__ = "parses source, which Python 3.11 cannot do in several threads at once"


class Linted(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def lines(self, source: str) -> list[int]:
        (self.folder / "case.py").write_text(source, encoding="utf-8")
        return [finding.line for finding in check_no_sleep(self.folder)]


class TestWhatIsFound(Linted):
    def test_every_way_to_name_a_sleep_is_found(self) -> None:
        for source in (
            "import time\ntime.sleep(0.1)",
            "import time as t\nt.sleep(1)",
            "import asyncio\nasyncio.tasks.sleep(1)",
            "from time import sleep\nsleep(2)",
            "from asyncio import sleep as nap\nnap(delay=2)",
            "import time\nnap = time.sleep; nap(1)",
            "import anyio.abc\nanyio.sleep(1)",
            "import gevent\ngevent.sleep(seconds)",
        ):
            with self.subTest(source=source):
                self.assertEqual(self.lines(source), [2])

    def test_a_duration_that_is_no_constant_is_a_duration(self) -> None:
        self.assertEqual(self.lines("import time\n\ndef f(x):\n    time.sleep(x * 2)\n"), [4])

    def test_the_message_has_the_call_and_the_remedy(self) -> None:
        (self.folder / "test_slow.py").write_text("import time\ntime.sleep(0.5)\n")
        [finding] = check_no_sleep(self.folder)
        self.assertRegex(str(finding), r"test_slow\.py:2: time\.sleep\(0\.5\) sleeps; wait for the condition instead")
        self.assertIn("@allow_sleep(reason=...)", finding.message)
        self.assertEqual(finding.to_dict()["line"], 2)

    def test_a_file_that_is_no_python_is_a_finding_and_not_a_crash(self) -> None:
        (self.folder / "broken.py").write_text("def f(:\n")
        (self.folder / "null.py").write_bytes(b"\0")
        found = [finding.message for finding in check_no_sleep(self.folder)]
        self.assertEqual([message.partition(":")[0] for message in found], ["is no Python that can be read"] * 2)


class TestWhatIsFine(Linted):
    def test_no_time_is_no_sleep(self) -> None:
        self.assertEqual(self.lines("import asyncio, time\nasyncio.sleep(0)\ntime.sleep(0.0)\ntime.sleep(-1)\n"), [])

    def test_a_sleep_of_something_else_is_none(self) -> None:
        self.assertEqual(self.lines("async def f(clock, time):\n    await clock.sleep(5)\n    time.sleep(1)\n"), [])

    def test_an_allowance_with_a_reason_covers_its_test_or_class_alone(self) -> None:
        source = (
            "import time\nfrom supertester.isolation import allow_sleep\n"
            "class A:\n"
            "    @allow_sleep(reason='no signal')\n    def test_a(self):\n        time.sleep(1)\n"
            "    def test_b(self):\n        time.sleep(1)\n"
            "@allow_sleep(reason='none')\nclass B:\n    def test_c(self):\n        time.sleep(1)\n"
        )
        self.assertEqual(self.lines(source), [8])

    def test_in_virtual_time_only_a_blocking_sleep_is_one(self) -> None:
        source = (
            "import asyncio, time\n"
            "class Base(IsolatedTestCase, clock='virtual'):\n    async def test_a(self):\n"
            "        await asyncio.sleep(9)\n"
            "class Sub(Base):\n    async def test_b(self):\n        await asyncio.sleep(9)\n        time.sleep(1)\n"
            "class Real(Base, clock='real'):\n    async def test_c(self):\n        await asyncio.sleep(9)\n"
        )
        self.assertEqual(self.lines(source), [8, 11])


class TestWhatIsReadAtAll(Linted):
    def test_hidden_folders_are_left_out(self) -> None:
        (self.folder / ".venv").mkdir()
        (self.folder / ".venv" / "a.py").write_text("import time\ntime.sleep(1)\n")
        (self.folder / "b.py").write_text("")
        self.assertEqual(python_files(self.folder), [self.folder / "b.py"])
        self.assertEqual(python_files(self.folder / ".venv"), [self.folder / ".venv" / "a.py"])

    def test_a_file_is_read_whatever_its_name(self) -> None:
        script = self.folder / "script"
        script.write_text("import time\ntime.sleep(1)\n")
        self.assertEqual(len(check_no_sleep(script)), 1)

    def test_nothing_to_read_is_a_mistake(self) -> None:
        with self.assertRaisesRegex(UsageError, "there is no file or folder '.*nowhere' to look into"):
            check_no_sleep(self.folder / "nowhere")
        with self.assertRaisesRegex(UsageError, "no file of Python in .*name a folder of tests"):
            check_no_sleep(self.folder)
