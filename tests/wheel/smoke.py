"""Runs against the installed wheel from a folder that is not the checkout; in a checkout it would fail."""

from __future__ import annotations

import importlib.metadata
import sys
import unittest
from pathlib import Path

import supertester
from supertester import GenServer, IsolatedTestCase, OTPAssertions

CHECKOUT = Path(__file__).parents[2]


class TestTheWheel(unittest.TestCase):
    def test_it_is_the_installed_copy_that_runs(self) -> None:
        self.assertTrue(Path(supertester.__file__).is_relative_to(sys.prefix), supertester.__file__)
        self.assertFalse(Path(supertester.__file__).is_relative_to(CHECKOUT / "supertester"))

    def test_it_holds_the_package_and_nothing_else(self) -> None:
        files = importlib.metadata.files("supertester") or []
        tops = {file.parts[0] for file in files if not file.parts[0].endswith(".dist-info")}
        self.assertEqual(tops, {"supertester"})

    def test_it_holds_the_modules_of_the_checkout_and_what_they_read(self) -> None:
        files = [file.as_posix() for file in importlib.metadata.files("supertester") or []]
        installed = {file for file in files if file.startswith("supertester/") and not file.endswith(".pyc")}
        modules = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "supertester").rglob("*.py")}
        page = {f"supertester/runner/reports/page.{kind}" for kind in ("css", "js")}
        self.assertEqual(installed, modules | page | {"supertester/py.typed"})

    def test_programs_that_configure_opentelemetry_by_their_environment_find_the_exporters(self) -> None:
        for signal in ("traces", "logs"):
            [found] = importlib.metadata.entry_points(group=f"opentelemetry_{signal}_exporter", name="supertester")
            found.load()().shutdown()

    def test_its_metadata_is_the_project_s(self) -> None:
        metadata = importlib.metadata.metadata("supertester")
        self.assertEqual(metadata["Version"], supertester.__version__)
        self.assertEqual(metadata["Requires-Python"], ">=3.11")
        needed = {line.partition(">=")[0] for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line}
        self.assertEqual(needed, {"hypothesis", "opentelemetry-sdk", "psutil", "tblib"})


class Counter(GenServer):
    def init(self, start: int = 0) -> int:
        return start

    def handle_call(self, request: object, sender: object) -> object:
        return self.state

    def handle_cast(self, message: int) -> None:
        self.state += message


class TestTheMainJob(OTPAssertions, IsolatedTestCase):
    async def test_a_server_is_started_and_asserted_on(self) -> None:
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        await self.cast_and_sync(counter, 1)
        await self.assert_genserver_state(counter, 6)
