"""``python -m tests.targets.os_server_orphans ENDING STATE``: start a server with a family, and come to some end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from supertester._core.waiting import wait_until
from supertester.otp import process_info
from supertester.targets import start_os_server
from tests.targets.orphans import come_to_an
from tests.targets.os_servers import PATIENCE, Counter


async def main(ending: str, state: str) -> None:
    server: Any = await start_os_server(Counter, timeout=PATIENCE)
    family = await server.call("family", PATIENCE)
    if state == "busy":
        server.cast("busy")
        await wait_until(lambda: process_info(server).reductions == 2, "it to be busy", timeout=PATIENCE)  # type: ignore[union-attr]
    if state == "suspended":
        os.killpg(server.os_pid, signal.SIGSTOP)
    print(server.os_pid, *family, flush=True)
    come_to_an(ending)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
