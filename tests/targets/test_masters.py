"""The masters that people run: their workers are found, killed, and seen to come back."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
import unittest
import urllib.request
from pathlib import Path
from typing import Any

from supertester import ChaosMixin, IsolatedTestCase, OTPAssertions
from supertester.targets import ExternalProcess, HttpReady, LineReady, start_process, target_of

_ROOT = Path(__file__).parents[2]


def _needs(package: str) -> Any:
    return unittest.skipUnless(importlib.util.find_spec(package), f"{package} is not installed")


class TestMasters(ChaosMixin, OTPAssertions, IsolatedTestCase):
    """A worker of each is killed by chance, and another takes its place and does the work."""

    async def serve(self, *argv: str) -> ExternalProcess:
        """Start a server on a reserved port, which is put in the place of ``PORT``."""
        port = self.ports.reserve()
        self.url = f"http://127.0.0.1:{port.number}/"
        given = [sys.executable, *(part.replace("PORT", str(port.number)) for part in argv)]
        port.release_to()
        own = {"XDG_RUNTIME_DIR": str(self.tmp_path)}  # Where gunicorn puts a socket for those who manage it.
        return await start_process(given, ready=HttpReady(port.number), cwd=_ROOT, env=own, timeout=60)

    async def answer(self) -> int:
        """Return the number of the process that answers."""
        return int(await asyncio.to_thread(self.fetch))

    def fetch(self) -> bytes:
        with urllib.request.urlopen(self.url, timeout=5) as page:
            body: bytes = page.read()
            return body

    async def assert_survives_kills(self, master: ExternalProcess, size: int, rounds: int = 2) -> None:
        tree = target_of(master)
        for _ in range(rounds):
            recovery = await self.assert_recovers(tree, within=30, probe=self.answer)
            self.assertEqual((len(recovery.ended), len(tree.workers())), (1, size))
            self.assertIn(await self.answer(), [worker.identity.pid for worker in tree.workers()])
        await self.assert_process_alive(master)

    @_needs("gunicorn")
    async def test_gunicorn(self) -> None:
        argv = ["-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:PORT", "tests.targets.apps:wsgi"]
        master = await self.serve(*argv)
        await self.assert_eventually(lambda: len(target_of(master).workers()) == 2, within=30)
        await self.assert_survives_kills(master, 2)
        # One that hangs is not seen by looking whether it lives.
        [first, _] = target_of(master).workers()
        await first.suspend()
        self.assertEqual((first.state, first.is_alive()), ("stopped", True))
        await first.resume()

    @_needs("uvicorn")
    async def test_uvicorn(self) -> None:
        master = await self.serve("-m", "uvicorn", "--workers", "2", "--port", "PORT", "tests.targets.apps:asgi")
        await self.assert_eventually(lambda: len(target_of(master).workers()) == 2, within=30)
        await self.assert_survives_kills(master, 2)

    @_needs("celery")
    async def test_celery(self) -> None:
        folder = self.tmp_path
        for name in ("messages", "outbox", "control", "results"):
            (folder / name).mkdir()
        argv = ["-m", "celery", "-A", "tests.targets.tasks_of_celery", "worker", "--pool", "prefork", "-c", "2"]
        without = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
        master = await start_process(
            [sys.executable, *argv, *without],
            ready=LineReady(r"ready\."),
            env={"CELERY_FOLDER": str(folder)},
            cwd=_ROOT,
            timeout=60,
            grace=1,
        )
        from tests.targets.tasks_of_celery import make_app

        app = make_app(str(folder), "outbox")

        def send(name: str, *arguments: str) -> Any:
            result = app.send_task(name, arguments)
            for message in (folder / "outbox").iterdir():  # The worker would die of a file that is not yet written.
                message.rename(folder / "messages" / message.name)
            return result

        async def answer() -> Any:
            return await asyncio.to_thread(lambda: send("whoami").get(timeout=20))

        # One that waits for something to do may hold the lock of the queue that all read from.
        busy = [folder / "first", folder / "second"]
        for path in busy:
            send("occupy", str(path))
        await self.assert_eventually(lambda: all(path.exists() and path.read_text() for path in busy), within=30)
        tree = target_of(master)
        self.assertEqual({worker.identity.pid for worker in tree.workers()}, {int(path.read_text()) for path in busy})
        recovery = await self.assert_recovers(tree, within=30, probe=answer)
        self.assertEqual([await answer()], [life.pid for life in recovery.begun])

    @_needs("gunicorn")
    async def test_a_master_that_is_killed_is_not_replaced(self) -> None:
        master = await self.serve("-m", "gunicorn", "-b", "127.0.0.1:PORT", "tests.targets.apps:wsgi")
        with self.assertRaisesRegex(AssertionError, "has lost python.* and nobody has taken the place within 1 s"):
            await self.assert_recovers(master, kill=lambda: target_of(master).kill(signal.SIGKILL), within=1.0)
