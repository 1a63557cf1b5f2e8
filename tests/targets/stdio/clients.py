"""A client of the kind that is tested with a mock: blocking, and with a bug on request; and the worker it starts."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

__all__ = ["WORKER", "BlockingClient"]

WORKER = """
import json, sys
def read():
    head = sys.stdin.buffer.read(4)
    return json.loads(sys.stdin.buffer.read(int.from_bytes(head, "big"))) if head else None
def write(message):
    data = json.dumps(message).encode()
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
while (request := read()) is not None:
    answer = {"id": request["id"], "success": True}
    match request["command"]:
        case "echo": answer["result"] = request["args"]
        case "session": answer["result"] = request.get("session")
        case "die": print("dying", file=sys.stderr); sys.exit(7)
        case "garbage": sys.stdout.buffer.write(b"\\xff" * 9); sys.stdout.buffer.flush(); continue
        case "silent": continue
        case "twice": answer["result"] = 1; write(answer)
        case "stranger": answer |= {"id": 999, "result": 1}
        case _: answer = {"id": request["id"], "success": False, "error": {"kind": "unknown"}}
    write(answer)
"""
"""Speaks frames with a length."""


class BlockingClient:
    """Calls over two descriptors, or to a program that it starts; may mix up the answers."""

    def __init__(
        self, reading: int = -1, writing: int = -1, *, argv: Sequence[str] = (), mixes_up: bool = False
    ) -> None:
        self.process = None
        if argv:
            self.process = subprocess.Popen([*argv, "--run-id", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self.process.stdin is not None and self.process.stdout is not None
            self.answers, self.requests = self.process.stdout, self.process.stdin
        else:
            self.answers, self.requests = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
        self.mixes_up = mixes_up
        self.lock = threading.Condition()
        self.last = 0
        self.ended = False
        self.received: dict[int, Any] = {}
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def call(self, command: str, args: Any = None, timeout: float = 60) -> Any:
        with self.lock:
            self.last += 1
            number = self.last
            data = json.dumps({"id": number, "command": command, "args": args}).encode()
            self.requests.write(len(data).to_bytes(4, "big") + data)
            self.requests.flush()
            if not self.lock.wait_for(lambda: self.answered(number) is not None or self.ended, timeout):
                raise TimeoutError(command)
            key = self.answered(number)
            if key is None:
                raise EOFError(command)
            answer = self.received.pop(key)
        if not answer["success"]:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def answered(self, number: int) -> int | None:
        if self.mixes_up:
            return next(iter(self.received), None)
        return number if number in self.received else None

    def read(self) -> None:
        while head := self.answers.read(4):
            frame = self.answers.read(int.from_bytes(head, "big"))
            if len(frame) < int.from_bytes(head, "big"):
                break
            answer = json.loads(frame)
            with self.lock:
                self.received[answer["id"]] = answer
                self.lock.notify_all()
        with self.lock:
            self.ended = True
            self.lock.notify_all()

    def close(self) -> None:
        self.requests.close()
        if self.process is not None:
            self.process.wait(60)
        self.thread.join(60)
        self.answers.close()
