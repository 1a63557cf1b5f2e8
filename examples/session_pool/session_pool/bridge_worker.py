"""The worker process: answers the requests that it reads from its standard input, until that ends.

Requests and answers are frames: four bytes, big-endian, that say how long it is, and an object in JSON:
``{"id", "command", "args", "session"}`` and ``{"id", "success", "result" | "error"}``. It runs as a program, and
imports nothing of the package, and little else: a pool waits for it whenever a worker is replaced.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import threading
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

_HEADER = struct.Struct(">I")


class CommandError(Exception):
    """A command that cannot be done, and the kind of reason."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Bridge:
    """What the commands do. Each session has programs of its own."""

    def __init__(self) -> None:
        self._programs: dict[str | None, dict[str, dict[str, Any]]] = {}
        self._requests: Counter[str] = Counter()
        self._made = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to *request*; whatever goes wrong in a command is the caller's, not the worker's."""
        try:
            return {"id": request["id"], "success": True, "result": self._do(request)}
        except Exception as error:  # noqa: BLE001
            kind = getattr(error, "kind", type(error).__name__)
            return {"id": request["id"], "success": False, "error": {"kind": kind, "message": str(error)}}

    def _do(self, request: dict[str, Any]) -> Any:
        name = request["command"]
        self._requests[name] += 1
        command: Callable[..., Any] | None = getattr(self, f"do_{name}", None)
        if command is None:
            raise CommandError("unknown_command", f"there is no command {name!r}")
        return command(request.get("session"), **(request.get("args") or {}))

    def do_ping(self, session: str | None) -> dict[str, Any]:
        return {"status": "ok", "pid": os.getpid(), "session": session}

    def do_echo(self, _: str | None, value: Any) -> dict[str, Any]:
        return {"value": value}

    def do_sleep(self, _: str | None, seconds: float) -> dict[str, Any]:
        threading.Event().wait(seconds)
        return {"slept": seconds}

    def do_create_program(
        self, session: str | None, signature: dict[str, list[str]], id: str | None = None
    ) -> dict[str, Any]:
        if not signature.get("inputs") or not signature.get("outputs"):
            raise CommandError("invalid_signature", f"a signature has inputs and outputs, got {signature!r}")
        self._made += 1
        program_id = id or f"program_{os.getpid()}_{self._made}"
        self._programs.setdefault(session, {})[program_id] = {"signature": signature, "executions": 0}
        return {"program_id": program_id}

    def do_execute_program(self, session: str | None, program_id: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Double numbers and capitalise texts: something whose answer a test can know."""
        program = self._program(session, program_id)
        signature = program["signature"]
        missing = [name for name in signature["inputs"] if name not in inputs]
        if missing:
            raise CommandError("missing_input", f"{program_id} needs {', '.join(missing)}")
        program["executions"] += 1
        values = [inputs[name] for name in signature["inputs"]]
        made = [each.upper() if isinstance(each, str) else each * 2 for each in values]
        return {name: made[index % len(made)] for index, name in enumerate(signature["outputs"])}

    def do_list_programs(self, session: str | None) -> list[str]:
        return sorted(self._programs.get(session, {}))

    def do_program_info(self, session: str | None, program_id: str) -> dict[str, Any]:
        return {"program_id": program_id, **self._program(session, program_id)}

    def do_delete_program(self, session: str | None, program_id: str) -> dict[str, Any]:
        self._program(session, program_id)
        del self._programs[session][program_id]
        return {"deleted": program_id}

    def do_end_session(self, session: str | None) -> dict[str, Any]:
        return {"dropped": len(self._programs.pop(session, {}))}

    def do_get_stats(self, _: str | None) -> dict[str, Any]:
        programs = {session: len(programs) for session, programs in self._programs.items() if session is not None}
        return {"pid": os.getpid(), "requests": dict(self._requests), "programs": programs}

    def _program(self, session: str | None, program_id: str) -> dict[str, Any]:
        try:
            return self._programs[session][program_id]
        except KeyError:
            raise CommandError("program_not_found", f"the session has no program {program_id!r}") from None


def read_frames(stream: BinaryIO) -> Iterable[bytes]:
    """Yield the frames that come from *stream*, until it ends."""
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        yield stream.read(*_HEADER.unpack(header))


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Write one frame at once."""
    stream.write(_HEADER.pack(len(body)) + body)
    stream.flush()


def _end_with(lifeline: int) -> None:
    """Wait until the parent has closed its end, which it also does by dying, and end, busy or not."""
    os.read(lifeline, 1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # With all that the commands have started.
    os._exit(0)


def main(bridge: Bridge) -> None:
    """Serve until the input ends."""
    # Names and values, as the pool gives them; `--run-id` is for who looks at a list of processes.
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    if "--lifeline" in options:
        threading.Thread(target=_end_with, args=(int(options["--lifeline"]),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a command prints must not get between the frames.
    for body in read_frames(sys.stdin.buffer):
        write_frame(answers, json.dumps(bridge.answer(json.loads(body))).encode())


if __name__ == "__main__":
    main(Bridge())
