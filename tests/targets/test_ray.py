"""Actors of Ray as targets, tried by a program of its own, because Ray stays in a process that it was in."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path

from supertester import IsolatedTestCase
from supertester.targets import start_process


@unittest.skipUnless(importlib.util.find_spec("ray"), "ray is not installed")
class TestRay(IsolatedTestCase, timeout=180):
    async def test_actors(self) -> None:
        home = self.tmp_path
        program = await start_process(
            [sys.executable, str(Path(__file__).with_name("ray_program.py")), str(home)],
            env={"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2]), "RAY_USAGE_STATS_ENABLED": "0"},
            name="ray",
            grace=20,
        )
        await program.wait(150)
        self.assertEqual(program.outcome, "exit status 0")
        for line in (
            "contract: None",
            "loopback: 127.0.0.1",
            r"recovery: None \[1\] \['(signal SIGKILL|unknown: .*)'\]",
            "lives: True False True",
            r"unsupported: <RayActorTarget Counter .* does not support queue_len\(\): Ray does not tell",
            "stopped: True",
        ):
            program.find(f"^{line}")
