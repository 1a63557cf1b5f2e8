"""The process of a server that has one for itself: it runs there in an embedded runtime, by messages from elsewhere."""

from __future__ import annotations

from supertester.targets.os_server import tls_later  # noqa: F401

# isort: split
import asyncio
import os
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from supertester.errors import StartFailed
from supertester.otp.elsewhere import Reference, meet
from supertester.otp.genserver import spawn, wait_started
from supertester.otp.reasons import Crash, is_crash
from supertester.otp.results import IGNORE
from supertester.otp.runtime import current_runtime
from supertester.targets.os_server.counters import FAMILY, Counters
from supertester.targets.os_server.frames import (
    IGNORED,
    READY,
    REFUSED,
    framed,
)
from supertester.targets.os_server.lifeline import end_with
from supertester.targets.os_server.loop import ServerLoop
from supertester.targets.os_server.reasons import packed
from supertester.targets.os_server.served import Line, Served
from supertester.targets.tree import has_children

if TYPE_CHECKING:
    from supertester.otp.process import Process
    from supertester.targets.os_server.arrival import Arrival

__all__ = ["main"]

_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
_CRASHED = 70
"""The exit status of a process whose server has crashed: that of an internal error, as BSD has them."""


def main(arrival: Arrival) -> None:
    """Run the server to its end; the life of the process."""
    # A group of its own, to be killed as a whole; no session, for the system would share out its time by those.
    os.setpgid(0, 0)
    end_with(arrival.parent_pid)
    os.environ.update(arrival.environment)
    answers: int = arrival.answers
    try:
        what = pickle.loads(arrival.what)
    except BaseException as error:  # noqa: BLE001  # Whatever an import does.
        _tell(answers, framed(REFUSED, 0, packed(Crash(error))))
        raise SystemExit(_CRASHED) from None
    counters = Counters(arrival.counters).values
    sys.addaudithook(partial(_note_start, counters))
    line = Line(arrival.requests, answers, counters)
    with asyncio.Runner(loop_factory=ServerLoop) as runner:
        try:
            runner.run(_live(line, arrival.known_as, what))
        except (KeyboardInterrupt, SystemExit) as error:  # The server has heard of it, if it was there.
            line.end(Crash(error))
    if not has_children(os.getpid()):
        line.counters[FAMILY] = False
    if line.reason is not None and is_crash(line.reason):
        raise SystemExit(_CRASHED)


def _note_start(counters: memoryview, event: str, _: object) -> None:
    """Note whether this process starts others."""
    if event in _STARTS:
        counters[FAMILY] = True


async def _live(line: Line, known_as: Reference, what: tuple[Any, ...]) -> None:
    cls, args, kwargs, name, parent = what
    runtime = current_runtime()

    def adopt(process: Process) -> None:
        runtime.on_spawn.remove(adopt)
        process.__class__ = Served
        meet(process, known_as)
        process.parent = parent
        line.serves(process)

    runtime.on_spawn.append(adopt)
    try:
        process = spawn(runtime, cls, args, kwargs, name, None, None)
        if await wait_started(process) is IGNORE:
            line.write(framed(IGNORED))
            return
    except StartFailed as error:
        line.write(framed(REFUSED, 0, packed(error.reason)))
        return
    line.write(framed(READY))
    ended = runtime.loop.create_future()
    loop: Any = runtime.loop
    loop.serve(line.requests, line.read, line.take, line.rest)

    def end(_: Process) -> None:
        loop.cease()
        line.end(process.exit_reason)
        ended.set_result(None)

    process.on_exit(end)
    await ended


def _tell(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
