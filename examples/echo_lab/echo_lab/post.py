"""The post: letters are sorted by a task, stamped by a thread, and carried by processes below a master of their own.

Nothing here is a server of `supertester.otp`: much of most applications is not.
"""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import threading

__all__ = ["CARRIERS", "Sorter", "Stamper"]

CARRIERS = [sys.executable, "-m", "echo_lab.post"]
"""The program that keeps two carriers at work; it says ``ready`` when they are."""


class Sorter:
    """Sorts letters in a task; `keep` starts another when one ends."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[str] = asyncio.Queue()
        self.sorted: list[str] = []
        self.task = asyncio.create_task(self._sort())
        self.keeper = asyncio.create_task(self._keep())

    async def _sort(self) -> None:
        while True:
            self.sorted = sorted([*self.sorted, await self.inbox.get()])

    async def _keep(self) -> None:
        while True:
            await asyncio.wait([self.task])
            self.task = asyncio.create_task(self._sort())

    def close(self) -> None:
        """End for good."""
        self.keeper.cancel()
        self.task.cancel()


class Stamper:
    """Stamps letters in a thread, until it is closed."""

    def __init__(self) -> None:
        self.inbox: queue.Queue[str | None] = queue.Queue()
        self.stamped: list[str] = []
        self.thread = threading.Thread(target=self._stamp, name="stamper")
        self.thread.start()

    def _stamp(self) -> None:
        for letter in iter(self.inbox.get, None):
            self.stamped.append(f"{letter} (stamped)")

    def close(self) -> None:
        """Stamp what is there, and end."""
        self.inbox.put(None)


def _carrier() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])


def _keep_carriers(count: int) -> None:
    carriers = [_carrier() for _ in range(count)]
    print("ready", flush=True)
    while True:
        for place, carrier in enumerate(carriers):
            try:
                carrier.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            carriers[place] = _carrier()


if __name__ == "__main__":
    _keep_carriers(2)
