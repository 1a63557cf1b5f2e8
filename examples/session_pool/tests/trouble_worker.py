"""The worker process with commands that only tests want: to be held up, to print, to take memory, to die.

It runs as a program. Arguments that begin with ``--without-`` leave out a part of the real one, to show that a test
notices.
"""

from __future__ import annotations

import os
import signal
import sys

# Here, too, what only some commands need is imported by them.
sys.path.insert(0, __file__.rpartition("/tests/")[0] + "/session_pool")

import bridge_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_held: list[bytearray] = []


class Trouble(bridge_worker.Bridge):
    def do_hold(self, session: str | None, port: int) -> dict[str, Any]:
        """Say who is there, and stay until the other side lets go."""
        import socket

        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"{os.getpid()}\n".encode())
            while connection.recv(1):
                pass
        return {"pid": os.getpid(), "session": session}

    def do_print(self, _: str | None, text: str) -> dict[str, Any]:
        print(text, flush=True)
        os.system(f"echo {text}")  # What a program prints that the command has started.
        return {"printed": text}

    def do_allocate(self, _: str | None, megabytes: int) -> dict[str, Any]:
        _held.append(bytearray(b"x" * 1024) * (1024 * megabytes))
        return {"held": megabytes}

    def do_exit(self, _: str | None, status: int) -> None:
        os._exit(status)

    def do_start_program(self, _: str | None) -> dict[str, Any]:
        import subprocess

        return {"pid": subprocess.Popen(["sleep", "300"]).pid}

    def do_ignore_term(self, _: str | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def do_forget(self, _: str | None) -> None:
        """Lose what the process knows, as a bug in a library would."""
        self._programs = None  # type: ignore[assignment]


class Mixed(Trouble):
    """Has one set of programs for all sessions."""

    def _do(self, request: dict[str, Any]) -> Any:
        return super()._do({**request, "session": "all of them"})


def main() -> None:
    options = {each for each in sys.argv if each.startswith("--without-")}
    sys.argv = [each for each in sys.argv if each not in options]
    if "--without-lifeline" in options:
        bridge_worker._end_with = lambda _: None  # type: ignore[assignment]
    if "--without-redirection" in options:
        bridge_worker.os.dup2 = lambda *_: 0  # type: ignore[assignment]
    bridge_worker.main(Mixed() if "--without-sessions" in options else Trouble())


if __name__ == "__main__":
    main()
