"""The page of names from Elixir: every Python name in it exists, and each module of theirs is there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from supertester import ChaosMixin, HarnessMixin, IsolatedTestCase, OTPAssertions, PerformanceMixin
from tests.project.support import ROOT

PAGE = ROOT / "docs" / "reference" / "elixir-names.md"
MODULES = [
    "ExUnitFoundation",
    "UnifiedTestFoundation",
    "Env",
    "IsolationContext",
    "TestableGenServer",
    "OTPHelpers",
    "GenServerHelpers",
    "SupervisorHelpers",
    "ChaosHelpers",
    "PerformanceHelpers",
    "Assertions",
    "ConcurrentHarness",
    "PropertyHelpers",
    "MessageHarness",
    "Telemetry",
    "TelemetryHelpers",
    "LoggerIsolation",
    "ETSIsolation",
]


def rows(page: str) -> Iterator[tuple[str, str, str]]:
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            yield cells[0], cells[1], cells[2]


def missing(page: str, case: Any) -> list[str]:
    """Return the Python names of *page* that do not exist, and the rows that have none."""
    problems = []
    for elixir, on_case, function in rows(page):
        names = re.findall(r"`((?:self|supertester)[\w.]*)`", on_case + function)
        if not names and "nothing" not in function:
            problems.append(f"{elixir} has no Python name")
        problems += [name for name in names if not exists(name, case)]
    return problems


def exists(name: str, case: Any) -> bool:
    first, *path = name.split(".")
    found: Any = case if first == "self" else importlib.import_module(first)
    for part in path:
        if not hasattr(found, part):
            try:
                importlib.import_module(f"{found.__name__}.{part}")
            except (AttributeError, ModuleNotFoundError):
                return False
        found = getattr(found, part)
    return True


class TestThePage(OTPAssertions, ChaosMixin, PerformanceMixin, HarnessMixin, IsolatedTestCase):
    def test_every_python_name_exists(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        self.assertGreater(len(list(rows(page))), 100)
        self.assertEqual(missing(page, self), [])

    def test_every_module_is_there(self) -> None:
        headings = " ".join(re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
        self.assertEqual([name for name in MODULES if f"Supertester.{name}" not in headings], [])

    def test_what_is_missing_is_found(self) -> None:
        page = "| `a/1` | `self.logs.capture` | |\n| `b/2` | `self.lugs` | `supertester.otp.nil` |\n| `c/3` | | |"
        self.assertEqual(missing(page, self), ["self.lugs", "supertester.otp.nil", "`c/3` has no Python name"])
