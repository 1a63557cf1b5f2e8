"""Real processes for the tests of chaos: each does what a line on its pipe says, so that nobody has to guess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from supertester.case import IsolatedTestCase
from supertester.chaos import ChaosEvent, Journal, journaled

__all__ = ["OBEDIENT", "PARENT", "SERVER", "ChildCase", "Workers", "is_mounted", "is_there", "text_of"]

OBEDIENT = """
import os, signal, sys, threading
kept = []
print("ready", flush=True)
for line in sys.stdin:
    try:
        print("did", eval(line), flush=True)
    except BaseException as error:
        print("failed", type(error).__name__, error, flush=True)
"""
"""Does what a line says, and answers with what came of it."""

PARENT = """
import signal, subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", "import signal\\nwhile True: signal.pause()"]) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
while True: signal.pause()
"""


def text_of(path: str | Path) -> str:
    """Return what the file *path* holds, nothing if there is none."""
    with suppress(OSError):
        return Path(path).read_text(encoding="ascii", errors="replace")
    return ""


def is_there(path: str | Path) -> bool:
    return Path(path).exists()


def is_mounted(path: Path) -> bool:
    return path.is_mount()


def _end(popen: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()
    for pipe in (popen.stdin, popen.stdout):
        with suppress(BrokenPipeError):
            assert pipe is not None
            pipe.close()


SERVER = """
import socketserver
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"answer to " + line)
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
server.daemon_threads = True
server.handle_error = lambda *_: None
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class Workers:
    """A pool of children, as a pool of one's own is: it starts another one for who has ended, when it is asked."""

    def __init__(self, case: ChildCase, size: int, source: str = OBEDIENT) -> None:
        self._start = partial(case.child, source)
        self._refs = [self._ref(number, 1) for number in range(size)]

    def _ref(self, number: int, generation: int) -> SimpleNamespace:
        child = self._start()
        return SimpleNamespace(
            id=f"worker {number}", pid=child.pid, generation=generation, child=child, alive=lambda: child.poll() is None
        )

    def workers(self) -> list[SimpleNamespace]:
        self._refs = [ref if ref.alive() else self._ref(n, ref.generation + 1) for n, ref in enumerate(self._refs)]
        return self._refs


class ChildCase(IsolatedTestCase):
    """A case that starts children and talks to them."""

    def child(self, source: str = OBEDIENT) -> subprocess.Popen[str]:
        popen = subprocess.Popen(
            [sys.executable, "-u", "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(_end, popen)
        self.heard = self.hear(popen)
        return popen

    def hear(self, popen: subprocess.Popen[str]) -> str:
        assert popen.stdout is not None
        return popen.stdout.readline().strip()

    def tell(self, popen: subprocess.Popen[str], line: str) -> None:
        assert popen.stdin is not None
        popen.stdin.write(line + "\n")
        popen.stdin.flush()

    def ask(self, popen: subprocess.Popen[str], line: str) -> str:
        """Let the child do what *line* says, and return its answer."""
        self.tell(popen, line)
        return self.hear(popen)

    def journal(self) -> Journal:
        return self.enterContext(journaled())

    def faults(self, events: list[ChaosEvent]) -> list[str]:
        return [event.fault for event in events]
