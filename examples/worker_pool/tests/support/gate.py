"""`Gate`: where calls wait that were sent there, until they are let go; so they are known to run at the same time."""

from __future__ import annotations

import socket
from typing import Any

__all__ = ["Gate"]


class Gate:
    """A server to which the tool ``wait_at_gate`` of `tests.support.strange_server` connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._inside: list[socket.socket] = []
        self.args = {"port": self._listener.getsockname()[1]}

    def await_calls(self, count: int, timeout: float = 60.0) -> list[int]:
        """Return the numbers of the processes of *count* calls that have come here, and have not been let go.

        Raises:
            TimeoutError: They do not come.
        """
        self._listener.settimeout(timeout)
        pids = []
        for _ in range(count):
            connection, _ = self._listener.accept()
            self._inside.append(connection)
            connection.settimeout(timeout)
            pids.append(int(connection.makefile().readline()))
        return pids

    def open(self) -> None:
        """Let all go, and whoever comes after."""
        self._listener.close()
        for connection in self._inside:
            connection.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.open()
