"""Figures on whole runs of test suites: each is a command of its own, and its time is what somebody waits for."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter

from benchmarks.measure import Compared, Figure, Subject

__all__ = ["figures", "suite"]

ROOT = Path(__file__).resolve().parent.parent
IDEAL = 3.4
"""Seconds that two workers need at least for the skewed suite: half of its work."""


@cache
def suite(modules: int, tests: int) -> Path:
    """Return a folder with so many modules of so many tests that do nothing."""
    body = "".join(f"    def test_{number}(self): ...\n" for number in range(tests))
    return _folder({f"test_m{number}.py": body for number in range(modules)})


@cache
def _skewed() -> Path:
    """Return a folder with 19 tests of 0.2 s, and a last one of 3 s."""
    wait = "    def test_1(self):\n        import time\n        time.sleep({})\n"
    return _folder({**{f"test_m{n}.py": wait.format(0.2) for n in range(10, 29)}, "test_z.py": wait.format(3.0)})


def _folder(files: dict[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="supertester-benchmark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, body in files.items():
        (folder / name).write_text(f"import unittest\n\nclass Test(unittest.TestCase):\n{body}", encoding="utf-8")
    return folder


def _timed(folder: Callable[[], Path], *arguments: str) -> Callable[[int], float]:
    def run(units: int) -> float:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # Nobody waits for the compiler twice.
        begun = perf_counter()
        for _ in range(units):
            done = subprocess.run(
                [sys.executable, "-m", *arguments],
                cwd=folder(),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"a suite that passes failed:\n{done.stderr}")
        return (perf_counter() - begun) / units

    return run


def figures() -> list[Figure]:
    """Return the figures on the runner."""
    one, many = (lambda: suite(1, 1)), (lambda: suite(40, 50))
    return [
        Figure(
            name="runner-start",
            title="a run of one test",
            unit="run",
            reference="python -m unittest",
            compared=Compared.COST,
            subjects=[
                Subject(name="python -m unittest", run=_timed(one, "unittest"), units=3),
                Subject(name="python -m supertester", run=_timed(one, "supertester"), units=3, goal=1.5),
            ],
        ),
        Figure(
            name="runner-noops",
            title="2,000 tests that do nothing",
            unit="run",
            reference="python -m unittest",
            compared=Compared.ALONE,
            subjects=[
                Subject(name="python -m unittest", run=_timed(many, "unittest"), units=1),
                Subject(name="python -m supertester -j2", run=_timed(many, "supertester", "-j2"), units=1, goal=0.35),
                Subject(name="python -m supertester", run=_timed(many, "supertester"), units=1),
            ],
        ),
        Figure(
            name="runner-skew",
            title=f"19 tests of 0.2 s and one of 3 s; ideal: {IDEAL} s",
            unit="run",
            reference="python -m supertester -j2",
            compared=Compared.ALONE,
            subjects=[
                Subject(name="python -m supertester -j2", run=_timed(_skewed, "supertester", "-j2"), units=1, goal=3.5)
            ],
        ),
    ]
