"""``python -m tests.targets.os_server_orphans ENDING STATE``: start a server with a family, and come to some end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from supertester.errors import CallExit
from supertester.targets import start_os_server
from tests.targets.os_servers import PATIENCE, Counter

__all__: list[str] = []


async def main(ending: str, state: str) -> None:
    server: Any = await start_os_server(Counter, timeout=PATIENCE)
    family = await server.call("family", PATIENCE)
    if state == "busy":
        server.cast("busy")
        try:
            await server.call("value", 0.1)
        except CallExit:
            pass
    if state == "suspended":
        os.killpg(server.os_pid, signal.SIGSTOP)
    print(server.os_pid, *family, flush=True)
    if ending == "raises":
        raise RuntimeError("planted")
    if ending == "exits":
        os._exit(3)
    if ending in ("terminated", "killed"):
        os.kill(os.getpid(), signal.SIGTERM if ending == "terminated" else signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
