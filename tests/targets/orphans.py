"""``python -m tests.targets.orphans ENDING STATE``: start a family of processes, and come to an end of some kind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from supertester.targets import LineReady, start_process
from tests.targets.programs import BUSY_FAMILY, FAMILY, program

ENDINGS = ("returns", "raises", "exits", "terminated", "killed")
STATES = ("waiting", "busy", "suspended")


async def main(ending: str, state: str) -> None:
    family = await start_process(
        program(BUSY_FAMILY if state == "busy" else FAMILY, forever=state != "busy"),
        ready=LineReady("family"),
        timeout=60,
    )
    if state == "suspended":
        family.suspend()
    print(family.pid, *family.find(r"family (\d+) (\d+)").groups(), flush=True)
    if ending == "raises":
        raise RuntimeError("planted")
    if ending == "exits":
        os._exit(3)
    if ending in ("terminated", "killed"):
        os.kill(os.getpid(), signal.SIGTERM if ending == "terminated" else signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
