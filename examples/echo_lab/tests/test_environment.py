"""``self.environment``: variables, randomness, settings and files of a test's own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

from echo_lab import EchoLab, settings

from supertester import IsolatedTestCase, UsageError, tag
from supertester.otp import GenServer, call


class Greeter(GenServer):
    """Greets whoever calls, with the settings of EchoLab."""

    def handle_call(self, request: str, sender: object) -> str:
        return settings.greeting(request)


class TestEnvironment(IsolatedTestCase):
    async def test_a_variable_of_the_test(self) -> None:
        """The application sees the variables of the test that starts it."""
        os.environ["ECHO_LAB_START"] = "40"
        await EchoLab.start_link(settings.start_value(), name="lab")
        self.assertEqual(await call("counter", ("add", 2)), 42)

    def test_no_variable_is_left_of_another_test(self) -> None:
        """What other tests set is not there."""
        self.assertNotIn("ECHO_LAB_START", os.environ)
        self.assertEqual(settings.start_value(), 5)

    def test_a_child_process_sees_the_variables_of_its_test(self) -> None:
        """A program that the test starts has the test's environment."""
        os.environ["ECHO_LAB_START"] = "40"
        code = "import os; print(os.environ['ECHO_LAB_START'])"
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code], text=True).strip(), "40")

    async def test_random_numbers_come_from_the_seed_of_the_test(self) -> None:
        """A server draws from the generator of its test, so what it says can be made to come again."""
        greeter = await Greeter.start_link()
        random.seed(7)
        first = [await greeter.call("Ada") for _ in range(9)]
        random.seed(7)
        self.assertEqual([await greeter.call("Ada") for _ in range(9)], first)

    def test_warnings_that_are_errors_here_only(self) -> None:
        """Filters of a test end with it."""
        warnings.simplefilter("error")
        with self.assertRaises(UserWarning):
            warnings.warn("the rooms are full", stacklevel=1)

    def test_files_in_a_folder_of_the_test(self) -> None:
        """The temporary folder is named after the test and goes away with it."""
        self.assertIn("test_files_in_a_folder", self.tmp_path.name)
        (self.tmp_path / "guests").write_text("Ada")
        self.assertIn("temporary folder", self.isolation.summary())


@tag(alone="changes what all tests share, and is compared afterwards")
class TestWhatEverybodyShares(IsolatedTestCase, isolation="contamination_detection"):
    """In a mode whose tests run alone."""

    def test_settings(self) -> None:
        """A setting has another value in a block."""
        with self.config(settings, GREETINGS=("Hi",)):
            self.assertEqual(settings.greeting("Ada"), "Hi, Ada")
        self.assertEqual(len(settings.GREETINGS), 3)

    def test_a_misspelt_setting(self) -> None:
        """What is no setting is refused, with the nearest one."""
        with self.assertRaisesRegex(UsageError, "did you mean 'GREETINGS'"):
            self.config(settings, GREETING=())

    def test_the_current_directory(self) -> None:
        """The test goes into its folder, and its end goes back."""
        os.chdir(self.tmp_path)
        Path("guests").touch()
        self.assertTrue((self.tmp_path / "guests").exists())
