"""`LiveProcess`: a real worker process, used like a simulated one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from supertester.sim_process.process import SimProcess
from supertester.sim_process.worker import Worker, address_of

__all__ = ["LiveProcess"]

_PROGRAM: Final = """
import json, sys
from supertester.sim_process import run_worker
run_worker(sys.argv[1], *json.loads(sys.argv[2]))
"""
_PATIENCE: Final = 5.0
"""Seconds to wait for the end of the streams of a process that was killed."""


class LiveProcess(SimProcess):
    """A real process with the interface of `SimProcess`; made by ``SimProcess.start(..., live=True)``."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self.name = name
        self.pid = process.pid
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr

    @classmethod
    async def begin(cls, worker: Worker, args: tuple[Any, ...], name: str, argv: Sequence[str] | None) -> Self:
        """Start the program *argv*, by default a Python that runs *worker*."""
        env = dict(os.environ)
        if argv is None:
            env["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
            argv = [sys.executable, "-c", _PROGRAM, address_of(worker), json.dumps(args)]
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=env)
        return cls(process, name)

    @property
    def returncode(self) -> int | None:  # type: ignore[override]
        """Its exit code once the end is known, else ``None``."""
        return self._process.returncode

    def is_running(self) -> bool:
        return self._process.returncode is None

    def send_signal(self, signal: int) -> None:
        self._process.send_signal(signal)

    async def wait(self) -> int:
        return await self._process.wait()

    async def communicate(self, input: bytes | None = None) -> tuple[bytes, bytes]:
        return await self._process.communicate(input)

    async def __aexit__(self, *raised: object) -> None:
        with suppress(ProcessLookupError):
            if self.returncode is None:
                self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):  # A child of its own may hold its streams open.
                await self._process.communicate()
