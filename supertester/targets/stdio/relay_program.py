"""A program that passes on its standard input to a `MockPort`, and what that answers to its standard output.

``relay_program.py HOST PORT TOKEN ...``; more arguments are ignored. It ends with its input, or with status 1 when the
mock closes the connection, as a worker that has crashed.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

_CHUNK = 1 << 16


def main() -> None:
    """Connect, and pass on what comes until one side ends."""
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(sys.argv[3].encode())

    def answers() -> None:
        try:
            while data := connection.recv(_CHUNK):
                while data:
                    data = data[os.write(1, data) :]
        finally:
            os._exit(1)

    threading.Thread(target=answers, daemon=True).start()
    while data := os.read(0, _CHUNK):
        connection.sendall(data)
    os._exit(0)


if __name__ == "__main__":
    main()
