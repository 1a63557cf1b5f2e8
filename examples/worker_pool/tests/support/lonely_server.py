"""A worker without a pool: it says on its standard output where it listens, and ends with its standard input."""

from __future__ import annotations

import os
import sys
import threading

from worker_pool import wire
from worker_pool.server import serve

if __name__ == "__main__":
    reading, ready = os.pipe()

    def tell() -> None:
        print("listening on", wire.unpacked(os.read(reading, 1024))["port"], flush=True)

    threading.Thread(target=tell, daemon=True).start()
    serve(
        [
            "--id",
            "w",
            "--run-id",
            "alone",
            "--ready-fd",
            str(ready),
            "--life-fd",
            str(sys.stdin.fileno()),
            "--threads",
            "2",
        ]
    )
