"""The way from a child process to the test that started it: lines of JSON over a socket of this machine.

The address and a secret are in the environment of the child. The first line of a connection shows the secret; each
further one is an event.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Mapping
from typing import Any, Final

from supertester.telemetry.events import TelemetryEvent

__all__ = ["ADDRESS", "LONGEST_LINE", "PARENT", "Sender", "decoded", "encoded", "sender_from_environment"]

ADDRESS: Final = "SUPERTESTER_TELEMETRY"
"""The variable of the environment with the port and the secret, joined by a colon."""
PARENT: Final = "SUPERTESTER_TEST_ID"
"""The variable of the environment with the id of the test."""
LONGEST_LINE: Final = 1 << 20
_PATIENCE: Final = 5.0
"""Seconds that a child waits for a parent that takes nothing, before it gives up."""


def encoded(event: TelemetryEvent, plain: Mapping[str, Any] | None = None) -> bytes:
    """Return *event* as a line; what JSON does not know is sent as its ``repr``."""
    line = {**event.to_dict(), "plain": plain}
    return json.dumps(line, default=repr, skipkeys=True, separators=(",", ":")).encode() + b"\n"


def decoded(line: bytes) -> tuple[TelemetryEvent, dict[str, Any] | None]:
    """Undo `encoded`.

    Raises:
        ValueError: It is no such line.
    """
    try:
        found = json.loads(line)
        name, kind, plain = found["name"], found["kind"], found.get("plain")
        return TelemetryEvent(str(name), dict(found["measurements"]), dict(found["metadata"]), str(kind)), plain
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no event: {line[:100]!r}") from error


class Sender:
    """The end of the child; sends each event at once, so that a child that is killed has sent what it did."""

    def __init__(self, port: int, secret: str, test_id: str) -> None:
        self.test_id = test_id
        self._address = (port, secret)
        self._socket: socket.socket | None = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._lock = threading.Lock()
        self._send(json.dumps({"secret": secret, "test_id": test_id}).encode() + b"\n")

    def send(self, event: TelemetryEvent, plain: Mapping[str, Any] | None = None) -> None:
        """Send *event*; where nobody takes it any more, or it is longer than a line may be, it is dropped."""
        line = encoded(event, plain)
        if len(line) <= LONGEST_LINE:
            self._send(line)

    def _send(self, line: bytes) -> None:
        with self._lock:
            if self._socket is None:
                return
            try:
                self._socket.sendall(line)
            except OSError:
                # The test has ended: what comes now is nobody's.
                self._socket.close()
                self._socket = None

    def again(self) -> Sender:
        """Return another connection to the same test, for a fork, which must not write into this one."""
        return Sender(*self._address, self.test_id)

    def close(self) -> None:
        """End the connection; what was sent arrives."""
        with self._lock:
            self.abandon()

    def abandon(self) -> None:
        """End this process's part in the connection, whoever else is writing: in a fork there is nobody."""
        held, self._socket = self._socket, None
        if held is not None:
            held.close()


def sender_from_environment() -> Sender | None:
    """Return a sender to the test that started this process; ``None`` if there is none, or it has ended."""
    port, _, secret = os.environ.get(ADDRESS, "").partition(":")
    if not secret:
        return None
    try:
        return Sender(int(port), secret, os.environ.get(PARENT, ""))
    except (OSError, ValueError):
        return None
