"""What a run of one test does before it and after it, which somebody waits for each time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

from supertester.errors import UsageError
from supertester.runner import collector
from supertester.runner.cli import parse
from supertester.runner.plain import module_name, plain_options, speaks_of_us
from tests.alone import alone
from tests.runner.suites import environment, folder_with

ONE = {"test_one.py": "import unittest\n\nclass TestOne(unittest.TestCase):\n    def test_1(self): ...\n"}
COSTLY = ("asyncio", "email", "json", "locale", "pathlib", "random", "shutil", "subprocess", "tempfile", "urllib")


class TestWhatIsLoaded(unittest.TestCase):
    def loaded(self, *arguments: str) -> Counter[str]:
        """Return how often each module is loaded, in all processes of a run of one test."""
        with folder_with(ONE) as folder:
            done = subprocess.run(
                [sys.executable, "-S", "-X", "importtime", "-m", "supertester", *arguments],
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        return Counter(re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE))

    def test_is_little_for_one_test(self) -> None:
        for arguments in ((), ("test_one",), ("test_one.py",)):
            with self.subTest(arguments=arguments):
                loaded = self.loaded(*arguments)
                self.assertEqual([name for name in COSTLY if loaded[name]], [])
                self.assertEqual(loaded["argparse"], 1, "`unittest` loads it, in the process that loads the tests")
                self.assertEqual(loaded["unittest"], 1)

    def test_is_no_terminal_for_options(self) -> None:
        self.assertEqual(self.loaded("-q")["shutil"], 0)


@alone("reads and writes the present folder and variables of the process")
class TestPlainCommandLines(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(os.path.realpath(self.enterContext(tempfile.TemporaryDirectory())))
        self.enterContext(mock.patch.dict(os.environ))
        for name in [name for name in os.environ if name.startswith("SUPERTESTER_")]:
            del os.environ[name]
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)
        Path("bank").mkdir()
        Path("bank/till.py").touch()

    def test_mean_what_the_parser_makes_of_them(self) -> None:
        absolute = str(self.folder / "bank" / "till.py")
        for arguments in ([], ["a.b"], ["bank/till.py", "a.py"], ["./bank/till.py"], [absolute], ["no.py"]):
            with self.subTest(arguments=arguments):
                options = plain_options(arguments)
                self.assertIsNotNone(options)
                self.assertEqual(options, parse(arguments))

    def test_are_none_with_options_or_discovery(self) -> None:
        for arguments in (["-v"], ["a", "-v"], ["discover"], ["--", "a"]):
            with self.subTest(arguments=arguments):
                self.assertIsNone(plain_options(arguments))

    def test_are_none_where_something_is_set(self) -> None:
        with mock.patch.dict(os.environ, SUPERTESTER_TIMEOUT="5"):
            self.assertIsNone(plain_options([]))
        for name in ("setup.cfg", "pyproject.toml"):
            with self.subTest(name):
                Path(name).write_text("nothing of that\n", encoding="utf-8")
                self.assertIsNotNone(plain_options([]))
                Path(name).write_text("[supertester]\n", encoding="utf-8")
                self.assertIsNone(plain_options([]))
                Path(name).unlink()

    def test_files_are_modules(self) -> None:
        self.assertEqual(module_name("bank/till.py"), "bank.till")
        self.assertEqual(module_name(str(self.folder / "bank" / "till.py")), "bank.till")
        self.assertEqual(module_name("tests.test_bank.TestBank"), "tests.test_bank.TestBank")

    def test_files_that_are_not_there_or_cannot_be_imported_are_refused(self) -> None:
        for name in ("bank/gone.py", "./gone.py", "/no/such.py", "../gone.py", "./bank/till", ""):
            with (
                self.subTest(name),
                self.assertRaisesRegex(UsageError, f"there is no file '{name}'; name one, or a test"),
            ):
                module_name(name)
        with self.assertRaisesRegex(UsageError, "bank is a folder; `discover -s ./bank` runs the tests in it"):
            module_name("./bank")
        os.chdir("bank")
        outside = str(self.folder / "x.py")
        Path(outside).touch()
        with self.assertRaisesRegex(UsageError, f"{outside} is outside of the present folder"):
            module_name(outside)

    def test_a_file_of_settings_that_cannot_be_read_is_said(self) -> None:
        Path("setup.cfg").mkdir()
        with self.assertRaisesRegex(UsageError, r"setup\.cfg cannot be read: .*directory"):
            speaks_of_us("setup.cfg")


class TestCollector(unittest.TestCase):
    def run_code(self, code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    def test_rests_until_it_is_resumed(self) -> None:
        said = self.run_code(
            "import gc\nfrom supertester.runner import collector\n"
            "collector.pause(); print(gc.isenabled())\n"
            "collector.resume(); print(gc.isenabled(), gc.get_freeze_count())\n"
        )
        self.assertEqual(said, "False\nTrue 0\n")

    def test_stays_off_where_it_was_off(self) -> None:
        said = self.run_code(
            "import gc\nfrom supertester.runner import collector\n"
            "gc.disable(); collector.pause(); collector.resume(); print(gc.isenabled())\n"
        )
        self.assertEqual(said, "False\n")

    def test_is_let_be_by_who_did_not_pause_it(self) -> None:
        with mock.patch.object(collector, "gc") as gc:
            collector.resume()  # As each run does, of whatever program.
        self.assertEqual(gc.mock_calls, [])
