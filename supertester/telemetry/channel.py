"""The way from a child process to the test that started it: lines of JSON over a socket of this machine.

The address and a secret are in the environment of the child. The first line of a connection shows the secret; each
further one is an event.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Any, Final

from supertester.telemetry.events import TelemetryEvent

__all__ = ["ADDRESS", "LONGEST_LINE", "PARENT", "Sender", "decoded", "encoded", "listen", "sender_from_environment"]

ADDRESS: Final = "SUPERTESTER_TELEMETRY"
"""The variable of the environment with the name of the socket and the secret, joined by a colon."""
PARENT: Final = "SUPERTESTER_TEST_ID"
"""The variable of the environment with the id of the test."""
LONGEST_LINE: Final = 1 << 20
_PATIENCE: Final = 30.0
"""Seconds that a child waits for a parent that takes nothing, before it gives up."""
_TIMEOUTS: Final = (TimeoutError, BlockingIOError)
_MOST_WAITING: Final = 4096
_BUFFER: Final = 1 << 20
"""Bytes that a child would like to be ahead of its parent; the system may allow less."""


def listen() -> tuple[socket.socket, str]:
    """Return a socket of the parent that listens, and its name.

    On Linux it is a Unix socket without a file: what a child has sent has arrived by then. TCP gives no such promise,
    not even within one machine: where that has much to do, the end of what was sent comes a moment later.
    """
    if not sys.platform.startswith("linux"):
        listener = socket.create_server(("127.0.0.1", 0), backlog=_MOST_WAITING)
        return listener, str(listener.getsockname()[1])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # The system chooses a name.
    listener.listen(_MOST_WAITING)
    return listener, f"@{listener.getsockname()[1:].decode()}"


def _connected(name: str, patience: float) -> socket.socket:
    """Return a connection to who listens by *name*, which waits for *patience* seconds.

    Raises:
        OSError: Nobody does.
        ValueError: It is no name.
    """
    if not name.startswith("@"):
        return socket.create_connection(("127.0.0.1", int(name)), timeout=patience)
    connection = socket.socket(socket.AF_UNIX)
    try:
        # By a timeout of Python's, no more than a quarter of the buffer would be used.
        connection.settimeout(None)
        limit = struct.pack("@ll", int(patience), int(patience % 1 * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        connection.connect(f"\0{name[1:]}")
    except BaseException:
        connection.close()
        raise
    return connection


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

    def __init__(self, address: str, test_id: str, *, patience: float = _PATIENCE) -> None:
        self.test_id = test_id
        self._address = address
        self._patience = patience
        name, _, secret = address.partition(":")
        self._socket: socket.socket | None = _connected(name, patience)
        self._lock = threading.Lock()
        self._send(json.dumps({"secret": secret, "test_id": test_id}).encode() + b"\n")

    def send(self, event: TelemetryEvent, plain: Mapping[str, Any] | None = None) -> None:
        """Send *event*; where nobody takes it any more, or it is longer than a line may be, it is dropped.

        Warns:
            RuntimeWarning: The test is there, and *event* and all that comes later does not reach it.
        """
        line = encoded(event, plain)
        if len(line) <= LONGEST_LINE:
            self._send(line)

    def _send(self, line: bytes) -> None:
        why = ""
        with self._lock:
            if self._socket is None:
                return
            try:
                self._socket.sendall(line)
            except ConnectionError:
                self.abandon()  # The test has ended: what comes now is nobody's.
            except OSError as error:
                self.abandon()
                why = f"none was taken for {self._patience:g} s" if isinstance(error, _TIMEOUTS) else str(error)
            else:
                return
        if why:
            warnings.warn(
                f"telemetry of this process is lost from now on: {why}; a handler of the test that does not return is "
                "the usual cause",
                RuntimeWarning,
                stacklevel=3,
            )

    def again(self) -> Sender:
        """Return another connection to the same test, for a fork, which must not write into this one."""
        return Sender(self._address, self.test_id)

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
    address = os.environ.get(ADDRESS, "")
    if not address.partition(":")[2]:
        return None
    try:
        return Sender(address, os.environ.get(PARENT, ""))
    except (OSError, ValueError):
        return None
