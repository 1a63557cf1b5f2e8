"""A worker with something wrong with it: the real one, and what its first argument says.

It is a program for tests alone, so that the real one has no faults to be switched on.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from worker_pool.later import loaded_when_used

with loaded_when_used("asyncio", "grpc.aio"):
    from worker_pool import server


class StrangeTools(server.Tools):
    """The tools of a worker, and some that damage it or prove something."""

    def do_exit(self, call: server.Call) -> Any:
        os._exit(int(call.number("status", 1)))

    def do_processor_time(self, call: server.Call) -> Any:
        return {"seconds": time.process_time()}

    def do_wait_at_gate(self, call: server.Call) -> Any:
        """Return when the `Gate` of a test is opened."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", int(call.number("port", 0)))) as gate:
            gate.sendall(f"{os.getpid()}\n".encode())
            gate.recv(1)
        return {"pid": os.getpid()}

    def do_forget_to_end_a_child(self, call: server.Call) -> Any:
        import subprocess  # It takes a while, which each of these workers would wait for.

        return {"pid": subprocess.Popen(["sleep", "300"], stdin=subprocess.DEVNULL).pid}

    def stream_burst(self, call: server.Call) -> Iterator[Any]:
        """Make all chunks, and then deliver them."""
        yield from list(self.stream_counts(call))

    def stream_stuck(self, call: server.Call) -> Iterator[Any]:
        """Make some chunks, and then none, without an end."""
        yield from range(int(call.number("n", 3)))
        call.abandoned.wait()

    def stream_shuffled(self, call: server.Call) -> Iterator[Any]:
        yield from reversed(range(int(call.number("n", 5))))

    def stream_heedless(self, call: server.Call) -> Iterator[Any]:
        """Go on producing, whether or not anybody takes what is produced."""
        chunks: list[Any] = []
        produced = threading.Event()

        def produce() -> None:
            with self.counted(stream=True):
                size = int(call.number("size", 0))
                chunks.extend({"count": n, "padding": os.urandom(size).hex()} for n in range(int(call.number("n", 5))))
                produced.set()
                threading.Event().wait(call.number("gap", 0.0))

        threading.Thread(target=produce, daemon=True).start()
        produced.wait()
        yield from chunks


def refuse(*_: object) -> Any:
    raise RuntimeError("no")


def tell_at(line: int) -> None:
    """Let SIGTERM come when so many lines have run since the worker said that it is ready."""
    lines = -1

    def traced(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if lines < 0 and frame.f_code is server.serve.__code__ and is_closed(frame.f_locals.get("ready")):
            lines = 0
        if lines >= 0 and event == "line":
            lines += 1
            if lines == line + 1:
                os.kill(os.getpid(), signal.SIGTERM)
        return traced

    sys.settrace(traced)


def is_closed(descriptor: int | None) -> bool:
    try:
        return descriptor is not None and not os.fstat(descriptor)
    except OSError:
        return True


def die(plant: str) -> None:
    if plant == "dies":
        sys.exit("no module named 'torch'")
    if plant.startswith("dies once"):
        flag = Path(plant.removeprefix("dies once "))
        if not flag.exists():
            flag.touch()
            sys.exit("this was the first time")
    if plant.startswith("dies from now on") and Path(plant.removeprefix("dies from now on ")).exists():
        sys.exit("never again")


def prepare(plant: str) -> None:
    die(plant)
    if plant == "is mute":
        threading.Event().wait()
    if plant == "is not serving":
        server.SERVING = b"\x08\x02"
    if plant == "keeps sessions":
        StrangeTools.do_cleanup_session = refuse  # type: ignore[method-assign]
    if plant.startswith("is told at "):
        tell_at(int(plant.removeprefix("is told at ")))
    if plant == "is told elsewhere":  # As the system may decide, if the main thread is not just waiting.
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if plant.startswith(("has no lifeline", "is deaf", "is told ")):
        server.watch_lifeline = lambda _: None
    if plant == "is deaf":
        server.signal.signal = lambda *_: signal.SIG_DFL  # type: ignore[assignment]
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


if __name__ == "__main__":
    prepare(sys.argv[1])
    server.serve(sys.argv[2:], StrangeTools)
