"""What the tests of the project share: where it is, planted files, and a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

__all__ = ["PACKAGE", "ROOT", "Planted", "run_python"]

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "supertester"


class Planted(unittest.TestCase):
    """A test that writes files into a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def plant(self, **sources: str) -> Path:
        """Write a package of these modules, where ``otp__pid`` is ``otp/pid.py`` and ``facade`` its ``__init__``."""
        root = self.folder / "supertester"
        for name, source in sources.items():
            parts = ["__init__"] if name == "facade" else name.split("__")
            path = root.joinpath(*parts).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return root


def run_python(code: str, *, cwd: Path = ROOT) -> str:
    """Run *code* in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise AssertionError(f"exit status {done.returncode} of {code!r}\n{done.stdout}{done.stderr}")
    return done.stdout
