"""Figures on imports, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Compared, Figure, Subject

__all__ = ["figures", "run_imports"]

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """\
import sys, time
sys.path.insert(0, sys.argv[1])
begun = time.perf_counter()
exec(sys.argv[2])
print(time.perf_counter() - begun)
"""


def run_imports(statement: str, units: int) -> float:
    """Return the seconds that *statement* takes in a new interpreter, the mean of *units*."""
    # -I: nothing of the environment or the current folder gets in.
    command = [sys.executable, "-I", "-c", PROGRAM, str(ROOT), statement]
    outputs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(units)]
    return sum(map(float, outputs)) / units


def figures() -> list[Figure]:
    reference = "import unittest, asyncio"
    statements = (
        (reference, None),
        ("import supertester", 60e-3),
        ("import supertester.otp", None),
        ("from supertester import IsolatedTestCase", None),
    )
    return [
        Figure(
            name="import",
            title="an import in a new interpreter",
            unit="import",
            reference=reference,
            compared=Compared.ALONE,
            subjects=[
                Subject(name=statement, run=partial(run_imports, statement), units=2, goal=goal)
                for statement, goal in statements
            ],
        )
    ]
