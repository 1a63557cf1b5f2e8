"""A server for the time of a test: ready when the test goes on, and gone when it is over."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from supertester.targets import ExternalProcess, LineReady, with_python_server
from tests.support.pools import PoolCase

HOME = Path(__file__).parents[2]
STUBBORN = """
import signal, subprocess, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"])
print("ready", child.pid, flush=True)
threading.Event().wait()
"""


class TestPythonServer(PoolCase):
    async def server(self) -> ExternalProcess:
        """Return a server whose lifeline is its own standard input, and which says where it listens."""
        return await with_python_server(
            "tests.support.lonely_server",
            ready=LineReady(r"^listening on \d+$"),
            env={"PYTHONPATH": os.pathsep.join([str(HOME), *sys.path])},
            cwd=HOME,
            timeout=30.0,
        )

    async def test_it_serves_inside_and_is_gone_after(self) -> None:
        async with await self.server() as server:
            port = int(server.find(r"^listening on (\d+)$").group(1))
            await self.assert_grpc_ready(f"127.0.0.1:{port}", timeout=10.0)
        self.assertFalse(psutil.pid_exists(server.pid))
        with self.assertRaises(AssertionError):
            await self.assert_grpc_ready(f"127.0.0.1:{port}", timeout=0.2)

    async def test_it_is_gone_too_if_the_body_fails(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "planted"):
            async with await self.server() as server:
                raise RuntimeError("planted")
        self.assertFalse(psutil.pid_exists(server.pid))

    async def test_one_that_ignores_sigterm_goes_with_its_child(self) -> None:
        script = self.tmp_path / "stubborn.py"
        script.write_text(STUBBORN)
        server = await with_python_server(script, ready=LineReady("^ready"), grace=0.2)
        child = psutil.Process(int(server.find(r"^ready (\d+)").group(1)))
        await server.stop()
        self.assertEqual(server.outcome, "signal SIGKILL")
        with suppress(psutil.NoSuchProcess):  # It may be reaped just now.
            self.assertEqual(child.status(), psutil.STATUS_ZOMBIE)

    async def test_frozen_it_is_not_ready(self) -> None:
        async with await self.server() as server:
            port = int(server.find(r"^listening on (\d+)$").group(1))
            server.suspend()
            with self.assertRaises(AssertionError):
                await self.assert_grpc_ready(f"127.0.0.1:{port}", timeout=0.2)
