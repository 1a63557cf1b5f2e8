"""``python -m tests.targets.orphans ENDING STATE``: start a family of processes, and come to an end of some kind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from supertester.targets import LineReady, start_process
from tests.targets.programs import BUSY_FAMILY, FAMILY, program

ENDINGS = ("returns", "raises", "exits", "terminated", "killed")
STATES = ("waiting", "busy", "suspended")
ROOT = Path(__file__).parents[2]


def run(ending: str, state: str, module: str = "tests.targets.orphans") -> subprocess.Popen[str]:
    """Begin a program that starts a family and comes to an end of some kind."""
    return subprocess.Popen(
        [sys.executable, "-m", module, ending, state],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def family_of(program: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that *program* names on its first line, if they still run."""
    assert program.stdout is not None
    numbers = [int(number) for number in program.stdout.readline().split()]
    assert len(numbers) == 3, "it did not start its family"
    found = []
    for number in numbers:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


def left(family: list[psutil.Process], timeout: float = 60) -> list[psutil.Process]:
    """Return who of the family runs so many seconds later; a zombie does not, and may stay one for long."""
    deadline = time.monotonic() + timeout
    for each in filter(_is_there, family):
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(each.pid)
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            os.close(descriptor)
    return [each for each in filter(_is_there, family) if not is_zombie(each)]


def _is_there(process: psutil.Process) -> bool:
    """Say whether its number is still its own: where many processes begin, another one has it soon."""
    return bool(process.is_running())


def is_zombie(process: psutil.Process) -> bool:
    """Say whether it has ended, whether or not anybody has taken notice."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def main(ending: str, state: str) -> None:
    family = await start_process(
        program(BUSY_FAMILY if state == "busy" else FAMILY, forever=state != "busy"),
        ready=LineReady("family"),
        timeout=60,
    )
    if state == "suspended":
        family.suspend()
    print(family.pid, *family.find(r"family (\d+) (\d+)").groups(), flush=True)
    come_to_an(ending)


def come_to_an(ending: str) -> None:
    """End this process in some way, or return."""
    if ending == "raises":
        raise RuntimeError("planted")
    if ending == "exits":
        os._exit(3)
    if ending in ("terminated", "killed"):
        os.kill(os.getpid(), signal.SIGTERM if ending == "terminated" else signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
